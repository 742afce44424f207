//! `GET /console/api/usage.csv`: every request as a line, in the order in which they were charged.
//!
//! The one rule: what was charged when the export began is in it, each row once, and nothing that came later. It is
//! written page by page, each when the client has read the one before.

use std::collections::BTreeMap;

use account::client::AccountClient;
use account::tail::{MAX_ROWS, Reading, Rows, Tail};
use billing::ledger::{Outcome, Permission};
use serde::Deserialize;
use utoipa::IntoParams;
use worker::{D1Database, Headers, Response, Url, console_error};

use super::caller::Caller;
use super::page::{self, ErrorView, Span};
use super::recent;
use super::usage::UsageView;
use crate::context::Context;
use crate::d1::requests::{self, Filter, Row, word};
use crate::error::ApiError;
use crate::inference::pipeline::Served;
use crate::inference::stream::Sink;
use crate::upstream::within;
use crate::{d1, ids};

/// How many rows are read at once: some hundred kB.
const PAGE: u64 = 1_000;
/// How long a client may read nothing, in milliseconds.
const WRITE_MS: u64 = 60_000;

/// The columns: those of a row of `GET /console/api/usage`.
const COLUMNS: &str = "request_id,seq,kind,created_at,settled_at,key_id,key_name,endpoint,model,status,billing_status,\
settled_by,input_tokens,cache_read_tokens,cache_write_5m_tokens,cache_write_1h_tokens,output_tokens,reasoning_tokens,\
web_searches,cost_usd,uncollected_usd,dropped\r\n";

/// Which requests.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// Made at this time or later: a date (a day of UTC) or a time of RFC 3339.
    pub from: Option<String>,
    /// Made before this time, or on this date or before it.
    pub to: Option<String>,
    /// Made with this key.
    pub key_id: Option<String>,
    /// Of this model.
    pub model: Option<String>,
    /// By this route, as `/v1/chat/completions`.
    pub endpoint: Option<String>,
    /// That ended so.
    pub status: Option<Outcome>,
}

/// Streams requests as CSV (RFC 4180), the oldest first, with a line of names before them. A text that a spreadsheet
/// would take for a formula begins with an apostrophe. What breaks off is not whole.
///
/// # Errors
/// `invalid_api_key`, `invalid_request`.
#[utoipa::path(get, path = "/console/api/usage.csv", tag = "usage", operation_id = "exportUsage", params(ExportQuery),
    responses((status = 200, body = String, content_type = "text/csv"), (status = "default", body = ErrorView)))]
pub async fn csv(headers: &Headers, url: &Url, context: &Context) -> Result<Served, ApiError> {
    let caller = Caller::new(headers, Permission::AccountRead, context).await?;
    let query: ExportQuery = page::query(url)?;
    let Span { from_ms, to_ms } = Span::read(query.from.as_deref(), query.to.as_deref())?;
    let ExportQuery { key_id, model, endpoint, status, .. } = query;
    let filter = Filter { from_ms, to_ms, key_id, model, endpoint, status };
    let reading = Reading { rows: Rows::Waiting { before: None }, limit: 0, names: true };
    let begun = recent::read(&caller, reading).await?;
    let (sink, readable) = Sink::new().map_err(worker::Error::from)?;
    let export = Export {
        sink,
        db: context.env.d1(d1::BINDING)?,
        account_id: ids::account_id(&caller.routing_id),
        client: caller.client,
        filter,
        begun,
    };
    let request_id = context.request_id.clone();
    let rest = Box::pin(async move {
        match export.write().await {
            Ok(()) | Err(Ended::Gone) => {}
            Err(Ended::Failed(why)) => {
                console_error!("{request_id}: an export broke off: {why}");
                // A whole file would end here as well: the client is to see that this one is not.
                export.sink.cut();
            }
        }
    });
    let headers = Headers::new();
    headers.set("content-type", "text/csv; charset=utf-8")?;
    headers.set("content-disposition", "attachment; filename=\"usage.csv\"")?;
    Ok(Served { response: Response::builder().with_headers(headers).stream(readable), rest: Some(rest) })
}

struct Export {
    sink: Sink,
    db: D1Database,
    account_id: String,
    client: AccountClient,
    filter: Filter,
    /// The account when the export began.
    begun: Tail,
}

/// Why an export ended early.
enum Ended {
    /// The client reads no more.
    Gone,
    /// Something of ours did not answer.
    Failed(String),
}

impl Export {
    async fn write(&self) -> Result<(), Ended> {
        let failed = |why: &dyn std::fmt::Display| Ended::Failed(why.to_string());
        self.put(COLUMNS).await?;
        let Tail { delivered_seq, seq: last, key_names, .. } = &self.begun;
        let mut from = Some(1).filter(|_| *delivered_seq > 0);
        while let Some(seq) = from {
            let found = requests::after(&self.db, &self.account_id, &self.filter, seq, PAGE, *delivered_seq).await;
            let found = found.map_err(|error| failed(&error))?;
            self.put(&lines(found.rows, key_names)).await?;
            from = found.seen.map(|seen| seen.saturating_add(1));
        }
        let mut after = *delivered_seq;
        while after < *last {
            let reading = Reading { rows: Rows::After { seq: after }, limit: MAX_ROWS, names: false };
            let read = self.client.journal(reading).await.map_err(|error| failed(&error))?;
            let entries = read.map_err(|refusal| failed(&refusal))?.entries;
            let Some(end) = entries.last().map(|entry| entry.seq) else {
                return Err(failed(&"the journal has become shorter"));
            };
            let known = entries.iter().filter(|entry| entry.seq <= *last);
            let fitting = known.filter(|entry| entry.usage.as_ref().is_some_and(|usage| self.filter.takes(usage)));
            self.put(&lines(fitting.filter_map(Row::of).collect(), key_names)).await?;
            after = end;
        }
        self.sink.close().await.map_err(|_| Ended::Gone)
    }

    async fn put(&self, text: &str) -> Result<(), Ended> {
        match within(WRITE_MS, self.sink.write(text.as_bytes())).await {
            Some(Ok(())) => Ok(()),
            _ => Err(Ended::Gone),
        }
    }
}

fn lines(rows: Vec<Row>, key_names: &BTreeMap<String, String>) -> String {
    rows.into_iter().map(|row| line(&UsageView::new(row, key_names))).collect()
}

/// A row as a line. Numbers, also amounts below zero, stand as they are.
fn line(row: &UsageView) -> String {
    let counts = [
        row.input_tokens,
        row.cache_read_tokens,
        row.cache_write_5m_tokens,
        row.cache_write_1h_tokens,
        row.output_tokens,
        row.reasoning_tokens,
        row.web_searches,
    ];
    let optional = |text: &Option<String>| cell(text.as_deref().unwrap_or_default());
    let mut cells = vec![
        cell(&row.request_id),
        row.seq.to_string(),
        word(row.kind),
        row.created_at.clone(),
        row.settled_at.clone(),
        optional(&row.key_id),
        optional(&row.key_name),
        cell(&row.endpoint),
        cell(&row.model),
        word(row.status),
        word(row.billing_status),
        row.settled_by.map(word).unwrap_or_default(),
    ];
    cells.extend(counts.iter().map(u64::to_string));
    cells.extend([row.cost_usd.clone(), row.uncollected_usd.clone(), optional(&row.dropped)]);
    cells.join(",") + "\r\n"
}

/// A text as a cell: no formula to a spreadsheet, whatever somebody called a key, nor where the spreadsheet's language
/// takes `;` for the border of cells and so does not see our quotes.
/// <https://owasp.org/www-community/attacks/CSV_Injection>
fn cell(text: &str) -> String {
    let mut neutral = String::with_capacity(text.len());
    let mut begins = true;
    for c in text.chars() {
        if begins && matches!(c, '=' | '+' | '-' | '@' | '\t' | '\r' | '\n') {
            neutral.push('\'');
        }
        neutral.push(c);
        begins = matches!(c, ';' | '\t' | '\r' | '\n');
    }
    if neutral.contains([',', '"', '\r', '\n']) { format!("\"{}\"", neutral.replace('"', "\"\"")) } else { neutral }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_must_be_and_are_no_formulas() {
        for (text, expected) in [
            ("gpt-4o", "gpt-4o"),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("=1+1", "'=1+1"),
            ("=HYPERLINK(\"x\",\"y\")", "\"'=HYPERLINK(\"\"x\"\",\"\"y\"\")\""),
            ("@cmd", "'@cmd"),
            ("-2", "'-2"),
            ("+1", "'+1"),
            ("\tx", "'\tx"),
            ("\r=x", "\"'\r'=x\""),
            ("line\nbreak", "\"line\nbreak\""),
            ("line\n=1+1", "\"line\n'=1+1\""),
            ("a;=1+1;b", "a;'=1+1;b"),
            ("a;\t@x", "a;'\t'@x"),
            ("a-b=c", "a-b=c"),
        ] {
            assert_eq!(cell(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_line_has_as_many_cells_as_there_are_columns() {
        let row = UsageView {
            request_id: "req_1".into(),
            seq: 7,
            kind: billing::ledger::EntryKind::Adjustment,
            created_at: "2026-11-24T00:00:00.000Z".into(),
            settled_at: "2026-11-24T00:00:01.000Z".into(),
            key_id: Some("key_1".into()),
            key_name: Some("=SUM(A1)".into()),
            endpoint: "/v1/messages".into(),
            model: "m".into(),
            status: Outcome::ClientGone,
            billing_status: billing::ledger::BillingStatus::Settled,
            settled_by: None,
            input_tokens: 1,
            cache_read_tokens: 2,
            cache_write_5m_tokens: 3,
            cache_write_1h_tokens: 4,
            output_tokens: 5,
            reasoning_tokens: 6,
            web_searches: 0,
            cost_usd: "-0.000000001".into(),
            uncollected_usd: "0".into(),
            dropped: Some("top_k=1, logprobs=2".into()),
        };
        let expected = "req_1,7,adjustment,2026-11-24T00:00:00.000Z,2026-11-24T00:00:01.000Z,key_1,'=SUM(A1),\
/v1/messages,m,client_gone,settled,,1,2,3,4,5,6,0,-0.000000001,0,\"top_k=1, logprobs=2\"\r\n";
        assert_eq!(line(&row), expected);
        let names: Vec<String> = COLUMNS.trim_end().split(',').map(str::to_owned).collect();
        let fields = serde_json::to_value(&row).unwrap();
        let mut fields: Vec<&String> = fields.as_object().unwrap().keys().collect();
        let mut sorted: Vec<&String> = names.iter().collect();
        fields.sort();
        sorted.sort();
        assert_eq!(sorted, fields);
    }
}
