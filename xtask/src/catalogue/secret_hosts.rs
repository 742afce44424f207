//! Lists the hosts to which the Worker may send each secret, as its variable `SECRET_HOSTS`.
//!
//! The variable is set at deployment and not read from D1. So somebody who can only write to D1 cannot make the Worker
//! send a provider's key to another host.

use std::collections::BTreeSet;

use catalog::Catalog;

/// Returns `NAME=host` pairs, separated by spaces, sorted and without duplicates. A port is part of the host.
pub fn of(catalog: &Catalog) -> String {
    let pairs: BTreeSet<String> = catalog
        .upstreams
        .values()
        .filter_map(|upstream| Some(format!("{}={}", upstream.secret.as_ref()?, upstream.base_url.host())))
        .collect();
    pairs.into_iter().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pair_is_listed_once_and_in_order() {
        let upstream = |id: &str, url: &str, secret: &str| {
            format!("[[upstream]]\nid = {id:?}\ndialects = [\"openai_chat\"]\nbase_url = {url:?}\n{secret}\n")
        };
        let text = [
            &upstream("z", "https://z.example/v1", "secret = \"Z_KEY\""),
            &upstream("a", "https://b.example:8443/v1", "secret = \"A_KEY\""),
            &upstream("b", "https://a.example/v1", "secret = \"A_KEY\"\nenabled = false"),
            &upstream("c", "https://a.example/v2", "secret = \"A_KEY\""),
            &upstream("d", "http://127.0.0.1:1/v1", ""),
            "[[model]]\nid = \"m\"\ncontext_window = 1\n",
            "[[model.price]]\neffective_at = 2024-01-01T00:00:00Z\ninput = \"1\"\n[[model.route]]\nupstream = \"a\"",
        ]
        .concat();
        let catalog = catalog::file::parse(&text, false).unwrap();
        assert_eq!(of(&catalog), "A_KEY=a.example A_KEY=b.example:8443 Z_KEY=z.example");
    }
}
