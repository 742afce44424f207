//! Applies one file and then the next to a real SQLite database with the real migrations.

use catalog::file;
use catalog::rows::{Rows, SELECT_MODELS, SELECT_PRICES, SELECT_ROUTES, SELECT_UPSTREAMS};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Statement};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::*;

const NOW_MS: i64 = 1_735_689_600_000; // 2025-01-01T00:00:00Z

const FIRST: &str = include_str!("../../tests/first.toml");
const SECOND: &str = include_str!("../../tests/second.toml");
const FULL: &str = include_str!("../../../crates/catalog/tests/full.toml");

fn catalogue(text: &str) -> Catalog {
    file::parse(text, false).unwrap()
}

fn database() -> Connection {
    let database = Connection::open_in_memory().unwrap();
    // As D1.
    database.pragma_update(None, "foreign_keys", true).unwrap();
    database.execute_batch(include_str!("../../../d1_migrations/0001_create_catalogue.sql")).unwrap();
    database.execute_batch(include_str!("../../../d1_migrations/0009_add_passes.sql")).unwrap();
    database.execute_batch(include_str!("../../../d1_migrations/0010_add_vocabulary_to_models.sql")).unwrap();
    database.execute_batch(include_str!("../../../d1_migrations/0011_add_when_client_leaves_to_models.sql")).unwrap();
    database
}

fn rows(database: &Connection) -> Rows {
    Rows {
        upstreams: select(database, SELECT_UPSTREAMS),
        models: select(database, SELECT_MODELS),
        prices: select(database, SELECT_PRICES),
        routes: select(database, SELECT_ROUTES),
    }
}

/// Converts a row by way of JSON, as D1 delivers rows.
fn select<R: DeserializeOwned>(database: &Connection, sql: &str) -> Vec<R> {
    let mut statement = database.prepare(sql).unwrap();
    let names = column_names(&statement);
    let mut found = statement.query([]).unwrap();
    let mut rows = Vec::new();
    while let Some(row) = found.next().unwrap() {
        let value = |index| match row.get_ref(index).unwrap() {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(number) => number.into(),
            ValueRef::Text(text) => String::from_utf8(text.to_vec()).unwrap().into(),
            other => panic!("{other:?}"),
        };
        let columns: Map<String, Value> = names.iter().cloned().zip((0..).map(value)).collect();
        rows.push(serde_json::from_value(columns.into()).unwrap());
    }
    rows
}

fn column_names(statement: &Statement<'_>) -> Vec<String> {
    statement.column_names().map(str::to_owned).collect()
}

/// Does the same as `apply`, without the rule about notice.
fn bring(database: &Connection, wanted: &Catalog, now_ms: i64) -> Diff {
    let diff = Diff::between(rows(database), wanted.to_rows().unwrap());
    let sql = sql::render(&diff, now_ms).unwrap();
    database.execute_batch(&format!("BEGIN; {sql} COMMIT;")).unwrap();
    diff
}

#[test]
fn every_problem_names_its_line() {
    let problem = |line, sentence: &str| Problem { line, sentence: sentence.to_owned() };
    let refused = refused(Path::new("a/catalog.toml"));
    assert_eq!(refused(vec![problem(3, "one")]).to_string(), "a/catalog.toml:3: one\n1 problem; the file is refused");
    assert_eq!(
        refused(vec![problem(3, "one"), problem(7, "two")]).to_string(),
        "a/catalog.toml:3: one\na/catalog.toml:7: two\n2 problems; the file is refused"
    );
}

/// This test is here because only xtask reads the files of the repository.
#[test]
fn the_shipped_catalogue_has_no_problem() {
    let text = std::fs::read_to_string(crate::cli::root().join("catalog.toml")).unwrap();
    let catalog = file::parse(&text, false).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let unservable =
        |model: &&catalog::Model| !model.routes.iter().any(|route| catalog.upstreams[&route.upstream].can_serve(model));
    assert_eq!(catalog.models.values().find(unservable).map(|model| &model.id), None);
    assert!(catalog.models.len() >= 200, "{}", catalog.models.len());
}

/// Operators copy the examples into their catalogue, so the examples must not clash with the shipped entries.
#[test]
fn the_examples_fit_beside_the_shipped_catalogue() {
    let read = |name| std::fs::read_to_string(crate::cli::root().join(name)).unwrap();
    let examples = catalogue(&read("catalog.examples.toml"));
    let shipped = catalogue(&read("catalog.toml"));
    let both = catalogue(&format!("{}\n{}", read("catalog.toml"), read("catalog.examples.toml")));
    assert_eq!(both.upstreams.len(), shipped.upstreams.len() + examples.upstreams.len());
    let unrouted = |id: &&String| !both.models.values().any(|model| model.routes.iter().any(|r| r.upstream == **id));
    assert_eq!(examples.upstreams.keys().find(unrouted), None);
}

#[test]
fn wrangler_toml_binds_the_secrets_of_the_shipped_catalogue() {
    let read = |name| std::fs::read_to_string(crate::cli::root().join(name)).unwrap();
    let catalog = catalogue(&read("catalog.toml"));
    let settings: toml::Table = read("wrangler.toml").parse().unwrap();
    assert_eq!(settings["vars"]["SECRET_HOSTS"].as_str(), Some(secret_hosts::of(&catalog).as_str()));
}

#[test]
fn a_catalogue_is_read_back_as_it_was_written() {
    let database = database();
    for (later_ms, text) in (0..).zip([FULL, FIRST, SECOND, FULL, FULL, FIRST]) {
        let wanted = catalogue(text);
        bring(&database, &wanted, NOW_MS + later_ms);
        assert_eq!(Catalog::from_rows(rows(&database)).unwrap(), wanted);
        assert!(Diff::between(rows(&database), wanted.to_rows().unwrap()).is_empty());
    }
}

#[test]
fn a_change_is_shown_and_written() {
    let database = database();
    let first = bring(&database, &catalogue(FIRST), NOW_MS);
    insta::assert_snapshot!("first_report", report::text(&first, false).unwrap());
    insta::assert_snapshot!("first_sql", sql::render(&first, NOW_MS).unwrap());
    let second = bring(&database, &catalogue(SECOND), NOW_MS);
    insta::assert_snapshot!("second_report", report::text(&second, false).unwrap());
    insta::assert_snapshot!("second_sql", sql::render(&second, NOW_MS).unwrap());
    assert_eq!(
        report::text(&second, true).unwrap(),
        "upstreams: 1 added, 1 changed, 1 removed; models: 1 added, 1 changed, 1 removed; \
         prices: 2 added, 1 changed, 2 removed; routes: 2 added, 1 changed, 1 removed\n"
    );
    let none = bring(&database, &catalogue(SECOND), NOW_MS);
    assert_eq!(report::text(&none, false).unwrap(), "no change\n");
}

#[test]
fn a_price_is_never_lost() {
    let database = database();
    let history = || -> Vec<(String, i64, i64, i64)> {
        let sql = "SELECT model_id, effective_at_ms, above_input, input FROM prices";
        let mut statement = database.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)));
        rows.unwrap().map(Result::unwrap).collect()
    };
    bring(&database, &catalogue(FIRST), NOW_MS);
    let before = history();
    bring(&database, &catalogue(SECOND), NOW_MS);
    bring(&database, &catalogue(FULL), NOW_MS + 1);
    let after = history();
    assert!(before.iter().all(|price| after.contains(price)), "{before:?} {after:?}");
}

#[test]
fn a_text_with_quotes_is_written_unchanged() {
    let database = database();
    let name = r#"O'Brien's "model"; DROP TABLE prices; -- "#;
    let wanted = catalogue(&FIRST.replace("\"Stays\"", &serde_json::to_string(name).unwrap()));
    bring(&database, &wanted, NOW_MS);
    let read = Catalog::from_rows(rows(&database)).unwrap();
    assert_eq!(read.models["stays"].display_name, name);
    assert_eq!(read, wanted);
}

#[test]
fn the_changes_of_two_operators_do_not_mix() {
    let database = database();
    let late = Diff::between(rows(&database), catalogue(SECOND).to_rows().unwrap());
    bring(&database, &catalogue(FIRST), NOW_MS);
    let sql = sql::render(&late, NOW_MS).unwrap();
    assert!(database.execute_batch(&format!("BEGIN; {sql} COMMIT;")).is_err());
    database.execute_batch("ROLLBACK").unwrap();
    assert_eq!(Catalog::from_rows(rows(&database)).unwrap(), catalogue(FIRST));
}

#[test]
fn the_schema_refuses_rows_that_the_worker_could_not_read() {
    let database = database();
    bring(&database, &catalogue(FIRST), NOW_MS);
    for sql in [
        "UPDATE upstreams SET dialects = 'openai_chat'",
        "UPDATE upstreams SET query = '[]'",
        "UPDATE upstreams SET auth = 'basic'",
        "UPDATE upstreams SET enabled = 2",
        "UPDATE models SET context_window = 9007199254740992",
        "UPDATE models SET context_window = 'many'",
        "UPDATE models SET limit_field = 'n'",
        "UPDATE models SET vocabulary = 'n'",
        "UPDATE prices SET input = -1",
        "UPDATE prices SET output = 9007199254740992",
        "UPDATE prices SET input = 2.5",
        "UPDATE routes SET upstream_id = 'nowhere'",
        "UPDATE routes SET cost = '[]'",
        "DELETE FROM upstreams",
        "DELETE FROM models",
    ] {
        assert!(database.execute_batch(sql).is_err(), "{sql}");
    }
}
