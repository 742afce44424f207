//! D1 on workerd, as the account object uses it.

use billing::ledger::Key;
use serde::Deserialize;
use worker::wasm_bindgen::JsValue;
use worker::{D1Database, Env, console_error};

use crate::audit::Copy;
use crate::outbox::{
    COUNT_ENTRIES, INSERT_ENTRIES, JournalCopy, REJECT_ENTRY, SELECT_LINES, SELECT_SET_ASIDE, TELL_DUE_TOPUP,
    UPSERT_KEY,
};

/// The binding `DB` of this environment.
pub struct D1(pub Env);

impl D1 {
    fn database(&self) -> worker::Result<D1Database> {
        self.0.d1("DB")
    }

    async fn run(&self, sql: &str, values: &[JsValue]) -> Result<(), String> {
        let run = async { self.database()?.prepare(sql).bind(values)?.run().await };
        run.await.map(drop).map_err(|e| e.to_string())
    }
}

impl JournalCopy for D1 {
    async fn insert(&self, account_id: &str, entries: &str, after: u64, last: u64) -> Result<u64, String> {
        #[derive(Deserialize)]
        struct Count {
            rows: u64,
        }
        let run = async {
            let db = self.database()?;
            let insert = db.prepare(INSERT_ENTRIES).bind(&[account_id.into(), entries.into()])?;
            let count = db.prepare(COUNT_ENTRIES).bind(&[account_id.into(), number(after), number(last)])?;
            let results = db.batch(vec![insert, count]).await?;
            let counted = results.get(1).map(|result| result.results::<Count>()).transpose()?;
            Ok(counted.and_then(|mut rows| rows.pop()).map_or(0, |count| count.rows))
        };
        run.await.map_err(|e: worker::Error| e.to_string())
    }

    async fn reject(&self, account_id: &str, seq: u64, entry: &str, problem: &str, now_ms: i64) -> Result<(), String> {
        let values = [account_id.into(), number(seq), entry.into(), problem.into(), time(now_ms)];
        self.run(REJECT_ENTRY, &values).await?;
        console_error!("outbox: {account_id} row {seq} was set aside: {problem}");
        Ok(())
    }

    async fn read(&self, account_id: &str, after: u64, last: u64) -> Result<Copy, String> {
        #[derive(Deserialize)]
        struct SetAside {
            seq: u64,
        }
        let run = async {
            let db = self.database()?;
            let values = [account_id.into(), number(after), number(last)];
            let ask = [SELECT_LINES, SELECT_SET_ASIDE].map(|sql| db.prepare(sql).bind(&values));
            let results = db.batch(ask.into_iter().collect::<worker::Result<_>>()?).await?;
            let [lines, set_aside] = results.as_slice() else {
                return Err("D1 did not answer both statements".into());
            };
            let set_aside = set_aside.results::<SetAside>()?.into_iter().map(|row| row.seq).collect();
            Ok(Copy { lines: lines.results()?, set_aside })
        };
        run.await.map_err(|e: worker::Error| e.to_string())
    }

    async fn upsert_key(&self, account_id: &str, key: &Key) -> Result<(), String> {
        let values = [
            account_id.into(),
            key.key_id.as_str().into(),
            key.name.as_str().into(),
            serde_json::to_string(&key.permissions).map_err(|e| e.to_string())?.into(),
            serde_json::to_string(&key.limits).map_err(|e| e.to_string())?.into(),
            key.parent.as_deref().map_or(JsValue::NULL, JsValue::from_str),
            time(key.created_at_ms),
            key.revoked_at_ms.map_or(JsValue::NULL, time),
        ];
        self.run(UPSERT_KEY, &values).await
    }

    async fn tell_due_top_up(&self, account_id: &str, now_ms: i64) -> Result<(), String> {
        self.run(TELL_DUE_TOPUP, &[account_id.into(), time(now_ms)]).await
    }
}

fn time(ms: i64) -> JsValue {
    number(ms.unsigned_abs())
}

/// Sequence numbers and times are far below 2^53, the largest integer that a JavaScript number holds exactly.
#[expect(clippy::cast_precision_loss, reason = "bounded by the minimum")]
fn number(n: u64) -> JsValue {
    JsValue::from_f64(n.min(1 << 53) as f64)
}
