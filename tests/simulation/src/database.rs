//! The object's SQLite: it survives everything that happens to the object, and a statement can be made
//! to fail, to panic, or to be the last that the process ran.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

use account::sql::{Row, Sql, SqlError, Transactional, Value};
use rusqlite::types::{Value as SqliteValue, ValueRef};
use rusqlite::{Connection, ErrorCode, params_from_iter};

/// How a command breaks off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// A statement fails.
    Error,
    /// The code panics.
    Panic,
    /// The process dies.
    Crash,
}

/// One database; a clone is another handle of it.
#[derive(Clone)]
pub struct Database(Rc<Inner>);

struct Inner {
    connection: Connection,
    /// How many statements still succeed, and what happens instead of the next.
    fuse: Cell<Option<(u64, Break)>>,
    blown: Cell<Option<Break>>,
}

impl Database {
    /// An empty one in memory.
    ///
    /// # Errors
    /// [`SqlError`] when SQLite cannot be opened.
    pub fn new() -> Result<Self, SqlError> {
        let connection = Connection::open_in_memory().map_err(failed)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(Self(Rc::new(Inner { connection, fuse: Cell::new(None), blown: Cell::new(None) })))
    }

    /// After so many statements `how` happens.
    pub fn arm(&self, statements: u64, how: Break) {
        self.0.fuse.set(Some((statements, how)));
    }

    /// Nothing happens any more; what did happen since the last call, if anything did.
    pub fn disarm(&self) -> Option<Break> {
        self.0.fuse.set(None);
        self.0.blown.take()
    }

    /// Runs `write` in one transaction. An error or a panic rolls everything back, and a panic becomes an error, as
    /// on workerd.
    ///
    /// # Errors
    /// The error of `write` or of the database.
    pub fn atomically(&self, write: impl FnOnce() -> Result<(), SqlError>) -> Result<(), SqlError> {
        self.run("BEGIN", &[])?;
        let done = catch_unwind(AssertUnwindSafe(|| write().and_then(|()| self.burn())));
        let done = done.unwrap_or_else(|_| Err(SqlError("a panic".into())));
        self.run(if done.is_ok() { "COMMIT" } else { "ROLLBACK" }, &[])?;
        done
    }

    /// Runs a statement as [`Sql::query`] does, past the fuse. The checks of the simulation use this.
    ///
    /// # Errors
    /// [`SqlError`].
    pub fn run(&self, sql: &str, params: &[Value]) -> Result<Vec<Row>, SqlError> {
        let mut statement = self.0.connection.prepare_cached(sql).map_err(failed)?;
        let columns = statement.column_count();
        let mut found = statement.query(params_from_iter(params.iter().map(bound))).map_err(failed)?;
        let mut rows = Vec::new();
        while let Some(row) = found.next().map_err(failed)? {
            let values = (0..columns).map(|at| row.get_ref(at).map_err(failed).and_then(read));
            rows.push(Row::new(values.collect::<Result<_, _>>()?));
        }
        Ok(rows)
    }

    /// Runs several statements without parameters.
    ///
    /// # Errors
    /// [`SqlError`].
    pub fn script(&self, sql: &str) -> Result<(), SqlError> {
        self.0.connection.execute_batch(sql).map_err(failed)
    }

    fn burn(&self) -> Result<(), SqlError> {
        match self.0.fuse.get() {
            None => Ok(()),
            Some((0, how)) => {
                self.0.fuse.set(None);
                self.0.blown.set(Some(how));
                match how {
                    // Not `panic!`: the hook would print each of them.
                    Break::Panic => resume_unwind(Box::new("injected")),
                    Break::Error | Break::Crash => Err(SqlError(format!("injected: {how:?}"))),
                }
            }
            Some((left, how)) => {
                self.0.fuse.set(Some((left.saturating_sub(1), how)));
                Ok(())
            }
        }
    }
}

impl Sql for Database {
    fn query(&self, sql: &str, params: &[Value]) -> Result<Vec<Row>, SqlError> {
        self.burn()?;
        self.run(sql, params)
    }
}

impl Transactional for Database {
    fn transaction(&self, write: impl FnMut() -> Result<(), SqlError> + 'static) -> Result<(), SqlError> {
        self.atomically(write)
    }
}

/// As workerd binds: every JavaScript number arrives as a REAL. All are within ±(2^53 − 1).
#[expect(clippy::cast_precision_loss, reason = "that is what a JavaScript number is")]
fn bound(value: &Value) -> SqliteValue {
    match value {
        Value::Null => SqliteValue::Null,
        Value::Int(int) => SqliteValue::Real(*int as f64),
        Value::Text(text) => SqliteValue::Text(text.clone()),
    }
}

fn read(value: ValueRef<'_>) -> Result<Value, SqlError> {
    match value {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Integer(int) => Ok(Value::Int(int)),
        ValueRef::Text(text) => Ok(Value::Text(String::from_utf8_lossy(text).into_owned())),
        other => Err(SqlError(format!("no table holds such a value: {other:?}"))),
    }
}

/// In D1's words, which name the code.
fn failed(error: rusqlite::Error) -> SqlError {
    let is_constraint = error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation);
    SqlError(if is_constraint { format!("{error}: SQLITE_CONSTRAINT") } else { error.to_string() })
}
