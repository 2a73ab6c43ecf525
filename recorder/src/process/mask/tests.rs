//! Secrets do not get through; everything else does unchanged.

use proptest::prelude::*;

use super::mask;

fn masked(arguments: &[&str]) -> String {
    String::from_utf8(mask(arguments.join("\0").as_bytes())).expect("ASCII in, ASCII out")
}

#[test]
fn every_form_of_a_secret_is_hidden() {
    let forms: [(&[&str], &str); 19] = [
        (&["mysql", "--password", "hunter2", "db"], "mysql --password *** db"),
        (&["mysql", "--password=hunter2", "db"], "mysql --password=*** db"),
        (&["env", "PGPASSWORD=hunter2", "psql"], "env PGPASSWORD=*** psql"),
        (&["x", "--api-key", "hunter2"], "x --api-key ***"),
        (&["x", "-token", "hunter2"], "x -token ***"),
        (&["x", "AWS_SECRET_ACCESS_KEY=hunter2"], "x AWS_SECRET_ACCESS_KEY=***"),
        (&["psql", "postgres://ana:hunter2@db:5432/app"], "psql postgres://ana:***@db:5432/app"),
        (&["x", "http://a:hunter2@h1/,http://b:hun/ter2@h2/"], "x http://a:***@h1/,http://b:***@h2/"),
        (&["psql", "host=h password=hunter2 user=ana"], "psql host=h password=*** user=ana"),
        (&["psql", "host=h password = hunter2 user=ana"], "psql host=h password = *** user=ana"),
        (&["psql", "-c", "alter user ana password 'hunter 2';"], "psql -c alter user ana password ***"),
        (&["curl", "-H", "Authorization: Bearer hunter2"], "curl -H Authorization:***"),
        (&["curl", "-u", "ana:hunter2", "https://h"], "curl -u ana:*** https://h"),
        (&["curl", "-d", "{\"password\": \"hunter2\"}"], "curl -d {\"password\":***"),
        (&["sh", "-c", "PASSWORD=hunter2 mysql -u ana"], "sh -c PASSWORD=*** mysql -u ana"),
        (&["sh", "-c", "mysql --password 'hunter 2' db"], "sh -c mysql --password *** db"),
        (&["sh", "-c", "curl -H \"Authorization: Basic hunter2\" h"], "sh -c curl -H \"Authorization:***\" h"),
        (&["x", "--password=my hunter2"], "x --password=***"),
        (&["x", "https://h/?token=hunter2"], "x https://h/?token=***"),
    ];
    for (arguments, expected) in forms {
        assert_eq!(masked(arguments), expected);
    }
}

#[test]
fn what_is_no_secret_stays_as_it_is() {
    let harmless: [&[&str]; 11] = [
        &["db_bench", "--key_size=16", "--benchmarks=fillrandom,readrandom"],
        &["postgres: checkpointer "],
        &["git", "commit", "-m", "count the tokens of a key once"],
        &["cat", "password.txt", "other"],
        &["mysql", "-phunter2"],
        &["docker", "run", "-u", "1000:1000"],
        &["pg_dump", "--no-password", "app"],
        &["x", "--password-file", "/run/pw"],
        &["x", "http://h:80/a@b"],
        &["git", "clone", "ssh://git@h/a:b"],
        &[],
    ];
    for arguments in harmless {
        assert_eq!(masked(arguments), arguments.join(" "));
    }
}

#[test]
fn the_padding_of_a_title_is_no_argument() {
    assert_eq!(mask(b"postgres: walwriter \0\0\0\0"), b"postgres: walwriter ");
}

/// Put the secret into one of the documented forms.
fn as_arguments(form: usize, name: &str, secret: &str) -> Vec<String> {
    match form {
        0 => vec![format!("--{name}"), secret.into()],
        1 => vec![format!("--{name}={secret}")],
        2 => vec![format!("{}={secret}", name.to_uppercase())],
        3 => vec![format!("https://ana:{secret}@host/path")],
        4 => vec!["-c".into(), format!("run --{name} {secret} more")],
        5 => vec!["-c".into(), format!("X=1 {name}={secret} more")],
        6 => vec![format!("{name}: {secret}")],
        _ => vec![format!("host=h {name}={secret} user=ana")],
    }
}

proptest! {
    #[test]
    fn a_secret_never_comes_through(
        before in prop::collection::vec("[a-z/.=-]{0,12}", 0..4),
        after in prop::collection::vec("[a-z/.=-]{0,12}", 0..4),
        prefix in "([a-z]{1,5}[-_])?",
        word in prop::sample::select(vec!["password", "passwd", "pwd", "token", "secret", "key", "credential"]),
        secret in "Q[A-Za-z0-9!#$%&()*+,./:;<=>?@^_{|}~-]{0,20}Z",
        form in 0usize..8,
    ) {
        let name = format!("{prefix}{word}");
        let arguments: Vec<String> = before.into_iter().chain(as_arguments(form, &name, &secret)).chain(after).collect();
        let masked = String::from_utf8(mask(arguments.join("\0").as_bytes())).expect("ASCII in, ASCII out");
        prop_assert!(!masked.contains(&secret), "{masked}");
        prop_assert!(!masked.contains(&secret[1..]) || secret.len() < 4, "{masked}");
    }

    #[test]
    fn any_bytes_are_masked_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        mask(&bytes);
    }

    #[test]
    fn any_words_are_masked_without_a_panic(text in "([a-z]{0,3}|password|--key|=|:|://|@| |'|\"|\0){0,30}") {
        mask(text.as_bytes());
    }
}
