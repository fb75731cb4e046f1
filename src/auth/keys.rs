//! Keys and tokens: JWT by HS256, keys named by `kid` so that they can be rotated.

use std::{collections::BTreeMap, fs, io, path::Path, time::Duration};

use actix_web::http::StatusCode;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, errors::ErrorKind};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use staithe_protocol::{SessionId, frames::Role};

use super::Identity;
use crate::{error::ApiError, keeping};

/// Who issues, and for whom.
const ISSUER: &str = "staithe";
/// The file of keys in the data directory.
const FILE: &str = "keys.json";
/// How long a proof holds.
const PROOF_TTL: Duration = Duration::from_mins(1);

/// What a token says.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    role: Role,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sid: Option<SessionId>,
    /// What it is for: `access`, or `sign_in` for a link that works once.
    #[serde(rename = "use")]
    purpose: String,
    iat: u64,
    exp: u64,
    jti: String,
    /// Of a ticket: when what it was made with ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
    /// The link by which its bearer came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lnk: Option<String>,
}

/// The keys as they are kept: the newest signs, all verify.
#[derive(Debug, Serialize, Deserialize)]
struct KeyFile {
    /// The `kid` that signs.
    current: String,
    /// By `kid`: 256 bits in hexadecimal.
    keys: BTreeMap<String, String>,
}

/// Signs and checks tokens.
pub struct Keys {
    /// What the data directory's own key proves, whichever signs.
    proving: (String, EncodingKey),
    current: String,
    signing: EncodingKey,
    verifying: BTreeMap<String, DecodingKey>,
    access_token: SecretString,
    operator_token: SecretString,
}

/// The key file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysFailed {
    #[error("the keys in {file} can't be read or made")]
    File {
        file: String,
        #[source]
        source: io::Error,
    },
    #[error("the keys in {file} can't be understood: move the file away to have new ones made")]
    Malformed {
        file: String,
        #[source]
        source: serde_json::Error,
    },
}

impl Keys {
    /// Reads the keys of a data directory, making them at the first start (mode 0600). A configured
    /// secret signs in their place.
    pub fn load(
        data_dir: &Path,
        secret: &SecretString,
        access_token: SecretString,
        operator_token: SecretString,
    ) -> Result<Self, KeysFailed> {
        let file = read_or_make(data_dir)?;
        let mut verifying: BTreeMap<String, DecodingKey> = file
            .keys
            .iter()
            .map(|(kid, key)| (kid.clone(), DecodingKey::from_secret(key.as_bytes())))
            .collect();
        let own = file.keys.get(&file.current).map_or("", String::as_str);
        let proving = (file.current.clone(), EncodingKey::from_secret(own.as_bytes()));
        let (current, signing) = match secret.expose_secret() {
            "" => proving.clone(),
            secret => {
                let kid = format!("config-{:.8}", hex(&Sha256::digest(secret.as_bytes())));
                verifying.insert(kid.clone(), DecodingKey::from_secret(secret.as_bytes()));
                (kid, EncodingKey::from_secret(secret.as_bytes()))
            }
        };
        Ok(Self { proving, current, signing, verifying, access_token, operator_token })
    }

    /// The name of the key that signs.
    pub fn current(&self) -> &str {
        &self.current
    }

    /// The same keys, signing with the one that a running server started with, which is not the
    /// newest after a rotation.
    pub fn signing_with(mut self, data_dir: &Path, kid: &str) -> Result<Self, KeysFailed> {
        if let Some(key) = read_or_make(data_dir)?.keys.get(kid) {
            self.signing = EncodingKey::from_secret(key.as_bytes());
            kid.clone_into(&mut self.current);
        }
        Ok(self)
    }

    /// Adds a key that signs from now on; what was signed before stays valid until it expires.
    pub fn rotate(data_dir: &Path) -> Result<String, KeysFailed> {
        let mut file = read_or_make(data_dir)?;
        let (kid, key) = new_key();
        file.keys.insert(kid.clone(), key);
        file.current.clone_from(&kid);
        write_atomically(data_dir, &file)?;
        Ok(kid)
    }

    /// A token for an identity.
    pub fn sign(&self, identity: &Identity, lifetime: Duration) -> Result<String, ApiError> {
        self.sign_for("access", identity, lifetime)
    }

    /// A token for a link that signs a browser in once.
    pub fn sign_link(&self, identity: &Identity, lifetime: Duration) -> Result<String, ApiError> {
        self.sign_for("sign_in", identity, lifetime)
    }

    fn sign_for(
        &self,
        purpose: &str,
        identity: &Identity,
        lifetime: Duration,
    ) -> Result<String, ApiError> {
        encode(&self.current, &claims(purpose, identity, lifetime), &self.signing)
    }

    /// Proves to somebody who has the data directory's keys that the server at this address has them, too: a token
    /// that opens nothing, for the number that they chose.
    pub fn prove(&self, nonce: &str, address: &str) -> Result<String, ApiError> {
        let claims = Claims {
            jti: nonce.into(),
            ..claims(
                "proof",
                &Identity {
                    subject: address.into(),
                    role: Role::Viewer,
                    session: None,
                    until: None,
                    link: None,
                },
                PROOF_TTL,
            )
        };
        let (kid, key) = &self.proving;
        encode(kid, &claims, key)
    }

    /// Whether that was proved.
    pub fn is_proof(&self, proof: &str, nonce: &str, address: &str) -> bool {
        self.verify(proof, "proof").is_ok_and(|claims| claims.jti == nonce && claims.sub == address)
    }

    /// Who shows this token.
    pub fn identify(&self, token: &str) -> Result<Identity, ApiError> {
        if let Some(identity) = self.configured(token) {
            return Ok(identity);
        }
        let claims = self.verify(token, "access")?;
        Ok(of_bearer(claims))
    }

    /// The secret of a link that lets others into one session, as often as they like while it holds.
    pub fn sign_share(&self, guest: &Identity, lifetime: Duration) -> Result<String, ApiError> {
        self.sign_for("share", guest, lifetime)
    }

    /// Who comes by such a link.
    pub fn open_share(&self, token: &str) -> Result<Identity, ApiError> {
        let guest = of_bearer(self.verify(token, "share")?);
        let is_whole = guest.link.is_some() && guest.session.is_some();
        is_whole
            .then_some(guest)
            .ok_or_else(|| denied("auth.invalid_token", "the token is not valid"))
    }

    /// Who a link signs in, and the number that makes it good once.
    pub fn open_link(&self, token: &str) -> Result<(Identity, String), ApiError> {
        let claims = self.verify(token, "sign_in")?;
        let (subject, role, session) = (claims.sub, claims.role, claims.sid);
        let identity = Identity { subject, role, session, until: None, link: None };
        Ok((identity, claims.jti))
    }

    /// A ticket that opens one session's ports to a browser, once.
    pub fn sign_ticket(
        &self,
        identity: &Identity,
        session: SessionId,
        lifetime: Duration,
    ) -> Result<String, ApiError> {
        self.sign_for_session("ticket", identity, session, lifetime)
    }

    /// What a ticket becomes: a token that opens one session's ports and nothing else, no longer than what it
    /// was made with.
    pub fn sign_sandbox(
        &self,
        identity: &Identity,
        session: SessionId,
        lifetime: Duration,
    ) -> Result<String, ApiError> {
        self.sign_for_session("sandbox", identity, session, identity.at_most(lifetime))
    }

    /// Whose ticket it is, for which session, and the number that makes it good once.
    pub fn open_ticket(&self, token: &str) -> Result<(Identity, SessionId, String), ApiError> {
        let claims = self.verify(token, "ticket")?;
        let id = claims.jti.clone();
        let (identity, session) = of_session(claims)?;
        Ok((identity, session, id))
    }

    /// Who shows a token of a session's ports, and which session it is.
    pub fn open_sandbox(&self, token: &str) -> Result<(Identity, SessionId), ApiError> {
        of_session(self.verify(token, "sandbox")?)
    }

    fn sign_for_session(
        &self,
        purpose: &str,
        identity: &Identity,
        session: SessionId,
        lifetime: Duration,
    ) -> Result<String, ApiError> {
        let identity = Identity { session: Some(session), ..identity.clone() };
        self.sign_for(purpose, &identity, lifetime)
    }

    fn configured(&self, token: &str) -> Option<Identity> {
        let is = |configured: &SecretString| {
            let configured = configured.expose_secret();
            // Comparing digests takes the same time wherever the first difference is.
            !configured.is_empty()
                && Sha256::digest(configured.as_bytes()) == Sha256::digest(token.as_bytes())
        };
        let (subject, role) = match () {
            () if is(&self.operator_token) => ("operator", Role::Operator),
            () if is(&self.access_token) => ("user", Role::User),
            () => return None,
        };
        Some(Identity { subject: subject.into(), role, session: None, until: None, link: None })
    }

    fn verify(&self, token: &str, purpose: &str) -> Result<Claims, ApiError> {
        let invalid = || denied("auth.invalid_token", "the token is not valid");
        let header = jsonwebtoken::decode_header(token).map_err(|_| invalid())?;
        let key = header.kid.and_then(|kid| self.verifying.get(&kid)).ok_or_else(invalid)?;
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 5;
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        let claims = jsonwebtoken::decode::<Claims>(token, key, &validation)
            .map_err(|error| match error.kind() {
                ErrorKind::ExpiredSignature => {
                    denied("auth.expired_token", "the token has expired")
                }
                _ => invalid(),
            })?
            .claims;
        if claims.purpose == purpose { Ok(claims) } else { Err(invalid()) }
    }
}

fn claims(purpose: &str, identity: &Identity, lifetime: Duration) -> Claims {
    let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default();
    Claims {
        iss: ISSUER.into(),
        sub: identity.subject.clone(),
        role: identity.role,
        sid: identity.session,
        purpose: purpose.into(),
        iat: now,
        exp: now + lifetime.as_secs(),
        jti: uuid::Uuid::new_v4().as_simple().to_string(),
        until: identity.until.filter(|_| purpose == "ticket"),
        lnk: identity.link.clone(),
    }
}

fn encode(kid: &str, claims: &Claims, key: &EncodingKey) -> Result<String, ApiError> {
    let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::HS256) };
    jsonwebtoken::encode(&header, claims, key).map_err(|error| ApiError::failed("auth.sign", error))
}

fn of_session(claims: Claims) -> Result<(Identity, SessionId), ApiError> {
    let session =
        claims.sid.ok_or_else(|| denied("auth.invalid_token", "the token is not valid"))?;
    let (subject, role, until, link) = (claims.sub, claims.role, claims.until, claims.lnk);
    Ok((Identity { subject, role, session: Some(session), until, link }, session))
}

fn of_bearer(claims: Claims) -> Identity {
    Identity {
        subject: claims.sub,
        role: claims.role,
        session: claims.sid,
        until: Some(claims.exp),
        link: claims.lnk,
    }
}

fn denied(code: &'static str, detail: &str) -> ApiError {
    ApiError::denied(StatusCode::UNAUTHORIZED, code, detail)
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn new_key() -> (String, String) {
    let random = || uuid::Uuid::new_v4().as_simple().to_string();
    (random()[..12].to_owned(), format!("{}{}{}", random(), random(), random()))
}

fn read_or_make(data_dir: &Path) -> Result<KeyFile, KeysFailed> {
    let path = data_dir.join(FILE);
    let file = path.display().to_string();
    match fs::read(&path) {
        Ok(bytes) => {
            serde_json::from_slice(&bytes).map_err(|source| KeysFailed::Malformed { file, source })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let (kid, key) = new_key();
            let made = KeyFile { current: kid.clone(), keys: BTreeMap::from([(kid, key)]) };
            write_atomically(data_dir, &made)?;
            Ok(made)
        }
        Err(source) => Err(KeysFailed::File { file, source }),
    }
}

fn write_atomically(data_dir: &Path, keys: &KeyFile) -> Result<(), KeysFailed> {
    let file = || data_dir.join(FILE).display().to_string();
    let write = || keeping::put(data_dir, FILE, &serde_json::to_vec_pretty(keys)?);
    write().map_err(|source| KeysFailed::File { file: file(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(dir: &Path) -> Keys {
        let none = || SecretString::from("");
        Keys::load(dir, &none(), none(), none()).expect("keys are made")
    }

    fn ann() -> Identity {
        Identity { subject: "ann".into(), role: Role::User, session: None, until: None, link: None }
    }

    #[test]
    fn a_token_opens_until_it_expires_and_no_forged_one_does() {
        let dir = tempfile::tempdir().expect("a directory");
        let keys = keys(dir.path());
        let token = keys.sign(&ann(), Duration::from_mins(1)).expect("it signs");
        let shown = keys.identify(&token).expect("it opens");
        assert!(shown.until.is_some());
        assert_eq!(Identity { until: None, ..shown }, ann());
        let other = tempfile::tempdir().expect("a directory");
        let forged = super::Keys::load(other.path(), &"".into(), "".into(), "".into())
            .expect("keys are made")
            .sign(&ann(), Duration::from_mins(1))
            .expect("it signs");
        for bad in [&forged, &format!("{token}x"), "", "a.b.c", &token[1..]] {
            assert_eq!(keys.identify(bad).map_err(|e| e.code).err(), Some("auth.invalid_token"));
        }
        let link = keys.sign_link(&ann(), Duration::from_mins(1)).expect("it signs");
        assert!(keys.identify(&link).is_err(), "a sign-in link is no access token");
    }

    #[test]
    fn a_proof_is_for_one_question_and_one_address_and_opens_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        // A configured secret signs tokens; the directory's own key proves all the same.
        let configured = Keys::load(dir.path(), &"secret".into(), "".into(), "".into());
        let (server, asking) = (configured.expect("keys are made"), keys(dir.path()));
        let (nonce, here) = ("0".repeat(32), "http://127.0.0.1:3000");
        let proof = server.prove(&nonce, here).expect("it signs");
        assert!(asking.is_proof(&proof, &nonce, here));
        assert!(!asking.is_proof(&proof, &"1".repeat(32), here));
        assert!(!asking.is_proof(&proof, &nonce, "http://127.0.0.1:3001"));
        assert!(
            !keys(tempfile::tempdir().expect("a directory").path()).is_proof(&proof, &nonce, here)
        );
        assert!(server.identify(&proof).is_err() && server.open_link(&proof).is_err());
        assert!(server.open_ticket(&proof).is_err() && server.open_sandbox(&proof).is_err());
    }

    #[test]
    fn what_a_ticket_becomes_ends_with_what_it_was_made_with() {
        let dir = tempfile::tempdir().expect("a directory");
        let keys = keys(dir.path());
        let session = SessionId::generate();
        let day = Duration::from_hours(24);
        let becomes = |token_ends: Duration| {
            let token = keys.sign(&ann(), token_ends).expect("it signs");
            let shown = keys.identify(&token).expect("it opens");
            let ticket = keys.sign_ticket(&shown, session, Duration::from_mins(1));
            let (by_ticket, ..) = keys.open_ticket(&ticket.expect("it signs")).expect("it opens");
            assert_eq!(by_ticket.until, shown.until);
            let sandbox = keys.sign_sandbox(&by_ticket, session, day).expect("it signs");
            let claims = keys.verify(&sandbox, "sandbox").expect("it opens");
            Duration::from_secs(claims.exp - claims.iat)
        };
        assert!(becomes(Duration::from_mins(2)) <= Duration::from_mins(2));
        assert_eq!(becomes(2 * day), day);
    }

    #[test]
    fn a_rotated_key_signs_and_the_old_one_still_opens() {
        let dir = tempfile::tempdir().expect("a directory");
        let before = keys(dir.path()).sign(&ann(), Duration::from_mins(1)).expect("it signs");
        Keys::rotate(dir.path()).expect("it rotates");
        let keys = keys(dir.path());
        let after = keys.sign(&ann(), Duration::from_mins(1)).expect("it signs");
        assert!(keys.identify(&before).is_ok());
        assert!(keys.identify(&after).is_ok());
        assert_ne!(
            jsonwebtoken::decode_header(&before).expect("a header").kid,
            jsonwebtoken::decode_header(&after).expect("a header").kid
        );
    }

    #[test]
    fn only_their_owner_reads_the_keys() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a directory");
        keys(dir.path());
        let mode = fs::metadata(dir.path().join(FILE)).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
