//! The ids of messages that are sent, chosen before they are.

use sha2::{Digest, Sha256};

/// `true_<chat>_3EB0` and 18 hexadecimal digits, the form of WhatsApp Web's own ids: the same of the same seed, so that a second send of the
/// same message is known by it.
pub fn sent_message_id(chat: &str, seed: &str) -> String {
    let digest = Sha256::digest(seed);
    format!("true_{chat}_3EB0{}", hex::encode_upper(&digest[..9]))
}
