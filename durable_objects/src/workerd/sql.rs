//! The object's SQLite on workerd, with the one storage method that the `worker` crate does not wrap.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;
use worker::{SqlStorage, SqlStorageValue, Storage};

use crate::panics::Panicked;
use crate::sql::{Row, Sql, SqlError, Transactional, Value};

#[wasm_bindgen]
extern "C" {
    /// `ctx.storage`.
    type TransactionalStorage;

    #[wasm_bindgen(method, catch, js_name = transactionSync)]
    fn transaction_sync(
        this: &TransactionalStorage,
        f: &Closure<dyn FnMut() -> Result<(), JsValue>>,
    ) -> Result<JsValue, JsValue>;
}

/// The SQLite of one object.
#[derive(Clone)]
pub struct ObjectSql {
    sql: SqlStorage,
    storage: Rc<Storage>,
}

impl ObjectSql {
    /// The SQLite of the object with this storage.
    pub fn new(storage: Rc<Storage>) -> Self {
        Self { sql: storage.sql(), storage }
    }
}

impl Sql for ObjectSql {
    fn query(&self, sql: &str, params: &[Value]) -> Result<Vec<Row>, SqlError> {
        let params = params.iter().map(bound).collect::<worker::Result<Vec<_>>>().map_err(failed)?;
        // A cursor's `one`, `next` and `to_array` throw an error that Rust cannot catch; its raw iterator returns it.
        let cursor = self.sql.exec(sql, params).map_err(failed)?;
        cursor.raw().map(|row| row.map_err(failed).and_then(read)).collect()
    }
}

impl Transactional for ObjectSql {
    fn transaction(&self, mut write: impl FnMut() -> Result<(), SqlError> + 'static) -> Result<(), SqlError> {
        let storage: &TransactionalStorage = self.storage.as_raw().unchecked_ref();
        let run = move || {
            // The platform rolls back when the closure throws.
            let done = catch_unwind(AssertUnwindSafe(&mut write));
            let done = done.unwrap_or_else(|_| Err(SqlError(Panicked.to_string())));
            done.map_err(|e| JsValue::from_str(&e.to_string()))
        };
        let closure = Closure::wrap_assert_unwind_safe(Box::new(run) as Box<dyn FnMut() -> Result<(), JsValue>>);
        storage.transaction_sync(&closure).map(drop).map_err(|e| SqlError(format!("{e:?}")))
    }
}

/// Binds an integer as a JavaScript number. An integer beyond ±(2^53 − 1) is an error.
fn bound(value: &Value) -> worker::Result<SqlStorageValue> {
    Ok(match value {
        Value::Null => SqlStorageValue::Null,
        Value::Int(int) => SqlStorageValue::try_from_i64(*int)?,
        Value::Text(text) => SqlStorageValue::String(text.clone()),
    })
}

fn read(values: Vec<SqlStorageValue>) -> Result<Row, SqlError> {
    let values = values.into_iter().map(|value| match value {
        SqlStorageValue::Null => Ok(Value::Null),
        SqlStorageValue::Integer(int) => Ok(Value::Int(int)),
        SqlStorageValue::String(text) => Ok(Value::Text(text)),
        other => Err(SqlError(format!("no table holds such a value: {other:?}"))),
    });
    Ok(Row::new(values.collect::<Result<_, _>>()?))
}

fn failed(error: worker::Error) -> SqlError {
    SqlError(error.to_string())
}
