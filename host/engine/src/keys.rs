//! The key pair of a network service (`ro_nsrs`): its public half goes into VMs that ask for it, its private half is what the
//! host later logs in with. Ed25519, because the RSA implementations at hand have an open advisory and every SSH server of the
//! last ten years accepts it.

use ssh_key::private::Ed25519Keypair;
use ssh_key::{LineEnding, PrivateKey};
use vimhost_model::{ActionId, NsrId, Secret};
use vimhost_store::{KeyPair, SealedText};

use crate::accounts::internal;
use crate::{Engine, Error};

/// What a sealed private key is bound to.
pub(crate) fn seal_context(nsr: &NsrId) -> String {
    format!("key-pair:{nsr}")
}

/// What the sealed password of a key injection is bound to.
pub(crate) fn password_context(nsr: &NsrId, action: &ActionId) -> String {
    format!("key-injection:{nsr}:{action}")
}

impl Engine {
    /// Seals the password of a key injection for the tasks of its action.
    pub(crate) fn seal_password(&self, nsr: &NsrId, action: &ActionId, password: &Secret) -> Result<SealedText, Error> {
        self.keys
            .seal(password, &password_context(nsr, action))
            .map_err(|error| internal("sealing a password", error))
    }

    /// The service's public key; a pair is made and kept at the first call.
    pub(crate) async fn public_key(&self, nsr: &NsrId) -> Result<String, Error> {
        let of_store = |error| Error::of_store("reading a key pair", error);
        if let Some(pair) = self.store.key_pair(nsr).await.map_err(of_store)? {
            return Ok(pair.public_key);
        }
        let (public_key, private) = generate(nsr)?;
        let private_key = self
            .keys
            .seal(&private, &seal_context(nsr))
            .map_err(|error| internal("sealing a private key", error))?;
        // Two plans at once make two pairs; the store keeps the first and both use it.
        let kept = self
            .store
            .keep_key_pair(
                nsr,
                KeyPair {
                    public_key,
                    private_key,
                },
            )
            .await
            .map_err(of_store)?;
        Ok(kept.public_key)
    }
}

fn generate(nsr: &NsrId) -> Result<(String, Secret), Error> {
    let mut seed = zeroize::Zeroizing::new([0u8; 32]);
    getrandom::fill(seed.as_mut()).map_err(|error| internal("reading random bytes", error))?;
    let mut key = PrivateKey::from(Ed25519Keypair::from_seed(&seed));
    key.set_comment(format!("vimhost-{nsr}"));
    let doing = "writing a key pair";
    let private = key.to_openssh(LineEnding::LF).map_err(|error| internal(doing, error))?;
    let public = key.public_key().to_openssh().map_err(|error| internal(doing, error))?;
    Ok((public, Secret::new(private.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_in_openssh_form_and_new_each_time() {
        let nsr: NsrId = "ns1".parse().unwrap();
        let (public, private) = generate(&nsr).unwrap();
        assert!(public.starts_with("ssh-ed25519 ") && public.ends_with("vimhost-ns1"));
        assert!(private.expose().starts_with("-----BEGIN OPENSSH PRIVATE KEY-----"));
        assert_ne!(generate(&nsr).unwrap().0, public);
    }
}
