//! Tokens of identity providers. The tokens end in 2100, the private keys are gone.
#![allow(clippy::unwrap_used, missing_docs)]

use axum::http::HeaderMap;
use rowtide_server::{Authenticator, JwksAuthenticator};

/// An RSA key `r` and a P-256 key `e`.
const KEYS: &str = r#"{"keys":[{"kty":"RSA","use":"sig","kid":"r","n":"nZWQ7HzYGUX2cE-QaAWT134RD7p1KGolSuV_I5e5BW0a66MdPZKKAfn_1-Rfw87RWbMgKTNPkQt_UAPSnwQEX8FzsdJUTwpQzSwEXgAfg_U7BDwVHQx7jVp3M0BuQsASt_gFSXJchhEn1eNWFDbzp9p3MM0Nt4pu1IMGkbmVQRUl3q_XvT-oCP3CwwjHrggd0O-tlRh46iSy0P4NUjQTBVDAceXryoLJmj6Qs0Z7TOUqcL3q1aztrzYmyoCwvLfaSHRVVqaaW4Z5igMTruq-7vfY7-I9ZzhdLJ3RD58h1pJ04cKCJhN0GkM2okdKpsddBloV6i-izL993H1yR8Rwjw","e":"AQAB"},{"kty":"EC","crv":"P-256","kid":"e","x":"7C9hnGdjqxUEGzyjqWcwRirI_0x5Z5ZkIBD2hbbX3tM","y":"DuHlmE2erXzwmEmqj-RWd9FzSMjdp6CDRFaL5qpZk38"}]}"#;
/// Of `ada`, signed by `r`.
const RS256: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InIifQ.eyJzdWIiOiJhZGEiLCJleHAiOjQxMDI0NDQ4MDB9.fH7h4-mcy2ppfDqnKHi5wQJKiD_aMOR3GJJUrm4Oqd_fGKqFUsHqN0PPGXmKXlaDkRUwTmxZkFrjslK_XqPiZmKi90dviGHjeRTi1OSB7zHD3Za5f4o_6GQhMkftU0o8C_Z6BMLcqJCaG2bwIUjmn_5sQswKtyc0Ay6oyVhjhIi6Qwc98p4yA0jY8qIb8Cmzt4MutuQx5TTVtQBUUvqCLC_z9ni9FPwVdp39tTpgC0HNDQxeNYzQpnqEKpKQzrABMGnqIUzByrivwjBqRl9mGORaNOq5nhsbrHK8O_xMDoceVYPxabezZe3MIOhrLOhGFjZnt-GLoEKLoVa9tuG3QQ";
/// Of `ada`, signed by `e`.
const ES256: &str = "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImUifQ.eyJzdWIiOiJhZGEiLCJleHAiOjQxMDI0NDQ4MDB9.SUKnWLJZWycrgvsjwFVmD7408UIIc5mfkDbmj3BAgxzjUGBl9P2s7JxeiLrYiDmA0L0Unge1FgrfWMsJnY548w";
/// Signed by `r`, naming no key.
const UNNAMED: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhZGEiLCJleHAiOjQxMDI0NDQ4MDB9.m4SGpS2XJPjdpDkZ7LQEdCPCufhxrK5sMR6wPDlxx6v-lGmt4r1A2-akdo5dAT2P4RL-KQP5XTLuJLYAwrfcIS4rynx58Yi1SxyMF1Ve4FNEhJt27BFpdRJNnB3f7epBjtkh2HcVLbb4b5ltioDc7PT1JT5avN0jQm1YroJY9vbqejmGoR_gqz72EC57JHNNEwlt4Ihz3SNwD5ATTG6Pw96lXyz23VpJ5OQfmspA88pODGicujBgJ9fGVoaty5KNsUlFjwv24dLBP2za_TXmpJ_nfGqF2LK5AJewIHcWYfMxx6xhUoudQ7t6DE60VoMUWVq9svVE8HY20TzwGlzydg";
/// Names `r`, signed by another key.
const FORGED: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InIifQ.eyJzdWIiOiJhZGEiLCJleHAiOjQxMDI0NDQ4MDB9.ZBw5NElMI88cIc_nmh8QoTd7w_lPWK8j9aaGXNuk0IZi8PSPFB25LwR0T1HkJ2s_Er54HYduGsiVFEcnC7DLapUbAjTd44I5k7khu9TkVMuSkK5mkjLHyo85E4RG-GruVh9nAb_ITnDQg8ZxqwSiFJ8Y8E2LmFBDNEpdJ3DMYy0EbtjvfJQNGW4lpiDrILekGiV17Jvk6AUVrEavC_C8aeWCe2e-UGMIu1brxTFGrV3b12vj1hEJThIHswaXIkfKapuGQlSMMNfnsLrXpEizlE7EuGAjaCTRsmhkiZN6qFx2jjhfDyM_qaa-NDDEfB43E3Z8H6QHkcKbmFG8XNZHGw";
/// Names `r`, signed by `e`.
const FOREIGN: &str = "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InIifQ.eyJzdWIiOiJhZGEiLCJleHAiOjQxMDI0NDQ4MDB9.m6b92EHMB812kzMmNl__ZdswzY3HmAD7KZKGeFFO0RllLS06DnF6gaMP0JXRDgPPzQuQyJMy38epQKU6kQNYQA";
/// Signed by `e`, ended in 2001.
const EXPIRED: &str = "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImUifQ.eyJzdWIiOiJhZGEiLCJleHAiOjEwMDAwMDAwMDB9.JIORuje7gNZKZoRvAaRyCfKb4zDasDQLzYjKR0fSdEnISpevcGk_RJxmxgz9MRBH6s8kqkzqT3jALA0WTiDnlQ";
/// Signed by `e`, without an end.
const ENDLESS: &str = "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImUifQ.eyJzdWIiOiJhZGEifQ.5fYANMkPwobdYFzukybhbQNPrIqjygmpA2bSCByJpBTH49YnB095TpQ_SlSJylr4wKAziovSyipbBuQvUpGYKQ";
/// HS256 with the modulus of `r` as the secret.
const CONFUSED: &str = "eyJhbGciOiJIUzI1NiIsImtpZCI6InIifQ.eyJzdWIiOiAiYWRhIiwgImV4cCI6IDQxMDI0NDQ4MDB9.UjuVevkTHCQcNjvHaRgU39KANFW_iOp7rpuf6VzEG9Y";

async fn user(token: &str) -> Option<String> {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
    JwksAuthenticator::new(KEYS).unwrap().authenticate(&headers).await.ok()
}

#[tokio::test]
async fn tokens_that_a_key_of_the_set_signed_are_accepted() {
    for token in [RS256, ES256, UNNAMED] {
        assert_eq!(user(token).await.as_deref(), Some("ada"));
    }
}

#[tokio::test]
async fn forged_foreign_expired_endless_and_confused_tokens_are_refused() {
    for token in [FORGED, FOREIGN, EXPIRED, ENDLESS, CONFUSED, "nonsense", ""] {
        assert_eq!(user(token).await, None, "{token}");
    }
}

#[test]
fn a_key_set_without_a_key_of_use_is_refused() {
    for text in ["", "{}", r#"{"keys":[]}"#, r#"{"keys":[{"kty":"oct","k":"AA"}]}"#] {
        assert!(JwksAuthenticator::new(text).is_err(), "{text}");
    }
}
