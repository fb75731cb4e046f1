//! One secret, encrypted: AES-256-GCM with a nonce of its own, bound to whose and what it is.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use sha2::{Digest, Sha256};

/// The form that this program writes: it is part of what is bound.
pub const VERSION: u32 = 1;

/// What can't be opened was changed, is somebody else's, or was sealed with another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it was sealed with another master key, or changed since")]
pub struct NotOpened;

/// Seals and opens.
pub struct Seal(RandomizedNonceKey);

impl Seal {
    /// From a master secret of at least 32 characters, or 256 bits in hexadecimal.
    #[expect(clippy::missing_panics_doc, reason = "it can't: the digest has the cipher's length")]
    pub fn new(master: &str) -> Self {
        let key =
            Sha256::new().chain_update("staithe model keys\0").chain_update(master).finalize();
        Self(RandomizedNonceKey::new(&AES_256_GCM, &key).expect("32 bytes are a key"))
    }

    /// Nonce and sealed bytes.
    pub fn seal(&self, whose: &str, what: &str, secret: &str) -> Result<Vec<u8>, NotOpened> {
        let mut bytes = secret.as_bytes().to_vec();
        let bound = Aad::from(bound(whose, what));
        let nonce = self.0.seal_in_place_append_tag(bound, &mut bytes).map_err(|_| NotOpened)?;
        Ok([nonce.as_ref().as_slice(), &bytes].concat())
    }

    /// What was sealed as this.
    pub fn open(&self, whose: &str, what: &str, sealed: &[u8]) -> Result<String, NotOpened> {
        let (nonce, bytes) = sealed.split_at_checked(NONCE_LEN).ok_or(NotOpened)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| NotOpened)?;
        let mut bytes = bytes.to_vec();
        let opened = self.0.open_in_place(nonce, Aad::from(bound(whose, what)), &mut bytes);
        let opened = opened.map_err(|_| NotOpened)?.to_vec();
        String::from_utf8(opened).map_err(|_| NotOpened)
    }
}

/// Lengths come first, so that no two pairs are alike.
fn bound(whose: &str, what: &str) -> Vec<u8> {
    format!("staithe key {VERSION}\0{}\0{whose}\0{what}", whose.len()).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_as_what_it_is_and_as_nothing_else() {
        let seal = Seal::new("a master key of thirty-two characters");
        let sealed = seal.seal("user:ann", "openai", "sk-1234567890").unwrap();
        assert_ne!(sealed, seal.seal("user:ann", "openai", "sk-1234567890").unwrap());
        assert!(!sealed.windows(4).any(|window| window == b"1234"));
        assert_eq!(seal.open("user:ann", "openai", &sealed).unwrap(), "sk-1234567890");
        let other = Seal::new("another master key of thirty-two characters");
        assert_eq!(other.open("user:ann", "openai", &sealed), Err(NotOpened));
        assert_eq!(seal.open("user:bob", "openai", &sealed), Err(NotOpened));
        assert_eq!(seal.open("user:ann", "gemini", &sealed), Err(NotOpened));
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert_eq!(seal.open("user:ann", "openai", &changed), Err(NotOpened), "{place}");
        }
        assert_eq!(seal.open("user:ann", "openai", &sealed[..5]), Err(NotOpened));
    }
}
