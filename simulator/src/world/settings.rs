//! How hard the world is on whom.

use serde_json::{Map, Value};

use super::{ControlError, World};
use crate::hardness::{Hardness, PageSettings};
use crate::phone::Phone;
use crate::wire::ToPage;

impl World {
    /// Of a phone, known or not; without one, of those that were not given another.
    pub fn hardness(&self, number: Option<&str>) -> &Hardness {
        number.and_then(|number| self.phones.get(number)).map_or(&self.hardness, |phone| &phone.hardness)
    }

    /// Changes the settings of a phone, or of all phones and of those to come; its pages are told. What they are then.
    pub fn harden(
        &mut self,
        number: Option<&str>,
        changes: Map<String, Value>,
    ) -> Result<Hardness, ControlError> {
        let refused = |problem| ControlError::Hardness { problem };
        // A phone's settings differ from the others' only in what was named, so all are asked before one is changed.
        let changed = self.hardness(number).changed(changes.clone()).map_err(refused)?;
        match number {
            Some(number) => {
                let phone =
                    self.phones.entry(number.to_owned()).or_insert_with(|| Phone::new(changed.clone()));
                phone.hardness = changed.clone();
            }
            None => {
                self.hardness = changed.clone();
                for phone in self.phones.values_mut() {
                    phone.hardness = phone.hardness.changed(changes.clone()).map_err(refused)?;
                }
            }
        }
        self.tell_settings(number);
        Ok(changed)
    }

    pub fn page_settings(&self, number: Option<&str>) -> PageSettings {
        self.hardness(number).of_page()
    }

    fn tell_settings(&self, number: Option<&str>) {
        for page in self.pages.values() {
            let phone = page.phone.as_deref();
            if number.is_none() || number == phone {
                page.tell(ToPage::Settings { settings: self.page_settings(phone) });
            }
        }
    }
}
