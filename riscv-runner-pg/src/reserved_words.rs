//! Words that SQL reserves in PostgreSQL: none of them can name a schema without quotes.

/// Reserved words, those that may name a function or type included, of PostgreSQL 13 to 18 (appendix C of
/// its manual); the test asks the server.
const RESERVED: [&str; 101] = [
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "binary",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "false",
    "fetch",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "group",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "intersect",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "natural",
    "not",
    "notnull",
    "null",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "outer",
    "overlaps",
    "placing",
    "primary",
    "references",
    "returning",
    "right",
    "select",
    "session_user",
    "similar",
    "some",
    "symmetric",
    "system_user",
    "table",
    "tablesample",
    "then",
    "to",
    "trailing",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
];

/// Whether SQL reserves the word, which is in lower case.
pub(crate) fn is_reserved(word: &str) -> bool {
    RESERVED.binary_search(&word).is_ok()
}

#[cfg(test)]
mod tests {
    use sqlx::{Connection, PgConnection};

    use super::*;
    use crate::testing::ThrowAwayPostgres;

    #[tokio::test]
    async fn every_word_that_the_server_reserves_is_known() {
        assert!(RESERVED.is_sorted() && !is_reserved("prod"));
        let config = ThrowAwayPostgres::shared().fresh_config();
        let options = config.connect_options().unwrap();
        let mut connection = PgConnection::connect_with(&options).await.unwrap();
        let words: Vec<String> =
            sqlx::query_scalar("SELECT word::text FROM pg_get_keywords() WHERE catcode IN ('R', 'T')")
                .fetch_all(&mut connection)
                .await
                .unwrap();
        assert!(words.len() > 90, "{words:?}");
        let unknown: Vec<_> = words.iter().filter(|word| !is_reserved(word)).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}
