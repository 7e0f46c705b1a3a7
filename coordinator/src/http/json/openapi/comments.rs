//! What the protos say of everything in them.

use std::collections::HashMap;

use prost_reflect::{DescriptorPool, FileDescriptor};

/// Comments by file and by place in it.
#[derive(Debug)]
pub struct Comments {
    all: HashMap<(String, Vec<i32>), String>,
}

impl Comments {
    pub fn of(pool: &DescriptorPool) -> Self {
        let mut all = HashMap::new();
        for file in pool.files() {
            let locations =
                file.file_descriptor_proto().source_code_info.iter().flat_map(|info| &info.location);
            for location in locations {
                if let Some(comment) = &location.leading_comments {
                    all.insert((file.name().to_owned(), location.path.clone()), in_one_line(comment));
                }
            }
        }
        Self { all }
    }

    /// Empty where there is none.
    pub fn at(&self, file: &FileDescriptor, path: &[i32]) -> &str {
        self.all.get(&(file.name().to_owned(), path.to_vec())).map_or("", String::as_str)
    }
}

fn in_one_line(comment: &str) -> String {
    comment.split_whitespace().collect::<Vec<_>>().join(" ")
}
