//! tokio-postgres: the cases of the driver matrix. Usage: PROGRAM transaction|session; the connection is in PG* variables.
use futures_util::{future::poll_fn, SinkExt, StreamExt};
use std::{env, error::Error, fmt::Debug, process::exit, time::Duration};
use tokio::{join, sync::mpsc, time::timeout};
use tokio_postgres::{types::FromSqlOwned, types::ToSql, AsyncMessage, Client, Config, NoTls, Notification};

type Outcome = Result<(), Box<dyn Error>>;
type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

const DRIVER: &str = "0.7.16";
const TABLE: &str = "rows_tokio_postgres";
const LARGE: &str = "SELECT n, repeat(chr(97 + n % 26), 10000) AS b FROM generate_series(1, 1000) AS n";
const LARGE_BYTES: usize = 10_000_000;
const SLEEPING: &str = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep')";
const CASE_TIME: Duration = Duration::from_secs(30);

async fn connect() -> Result<(Client, mpsc::UnboundedReceiver<Notification>), Box<dyn Error>> {
    let mut config = Config::new();
    config
        .host(env::var("PGHOST")?)
        .port(env::var("PGPORT")?.parse()?)
        .dbname(env::var("PGDATABASE")?)
        .user(env::var("PGUSER")?)
        .password(env::var("PGPASSWORD").unwrap_or_default())
        .connect_timeout(Duration::from_secs(10));
    let (client, mut connection) = config.connect(NoTls).await?;
    let (heard, notifications) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notification(notification) = message {
                let _ = heard.send(notification);
            }
        }
    });
    Ok((client, notifications))
}

fn check<T: PartialEq + Debug>(seen: T, wanted: T) -> Outcome {
    if seen == wanted {
        return Ok(());
    }
    Err(format!("{seen:?}, not {wanted:?}").into())
}

fn fails<T>(answer: Result<T, tokio_postgres::Error>, wanted: &str) -> Outcome {
    match answer {
        Ok(_) => Err(format!("no error, not {wanted}").into()),
        Err(error) => check(error.code().map(|code| code.code().to_string()), Some(wanted.to_string())).map_err(|_| error.into()),
    }
}

async fn one<T: FromSqlOwned>(on: &Client, text: &str, values: Values<'_>) -> Result<T, Box<dyn Error>> {
    Ok(on.query_one(text, values).await?.try_get(0)?)
}

async fn parameters(client: &Client) -> Outcome {
    check(one::<String>(client, "SELECT $1::text", &[&"ü €"]).await?, "ü €".to_string())?;
    check(one::<Vec<i32>>(client, "SELECT $1::int[]", &[&vec![1, 2]]).await?, vec![1, 2])?;
    check(one::<i64>(client, "SELECT $1::int8", &[&(1i64 << 40)]).await?, 1 << 40)
}

async fn prepared(client: &Client) -> Outcome {
    let mut others = Vec::new();
    for _ in 0..4 {
        let (other, _) = connect().await?;
        let statement = other.prepare("SELECT $1::int + 1").await?;
        others.push((other, statement));
    }
    for number in 0..20 {
        for (other, statement) in &others {
            check(other.query_one(statement, &[&number]).await?.get::<_, i32>(0), number + 1)?;
        }
    }
    // each is closed when it goes out of scope
    for number in 0..120 {
        let statement = client.prepare(&format!("SELECT $1::int + {number}")).await?;
        check(client.query_one(&statement, &[&1]).await?.get::<_, i32>(0), number + 1)?;
    }
    Ok(())
}

async fn pipeline(client: &Client) -> Outcome {
    let statement = client.prepare("SELECT $1::int").await?;
    let (left, right) = join!(client.query_one(&statement, &[&1]), client.query_one(&statement, &[&2]));
    check((left?.get::<_, i32>(0), right?.get::<_, i32>(0)), (1, 2))
}

async fn unknown_types(client: &Client) -> Outcome {
    client.batch_execute("CREATE TYPE feeling AS ENUM ('sad', 'ok')").await?;
    let answer = client.query_one("SELECT 'ok'::feeling", &[]).await.map(|row| row.columns()[0].type_().name().to_string());
    client.batch_execute("DROP TYPE feeling").await?;
    check(answer?, "feeling".to_string())
}

async fn transaction(client: &mut Client) -> Outcome {
    let insert = format!("INSERT INTO {TABLE} VALUES ($1, $2)");
    let mut outer = client.transaction().await?;
    outer.execute(&insert, &[&1, &"one"]).await?;
    let inner = outer.savepoint("inside").await?;
    inner.execute(&insert, &[&2, &"two"]).await?;
    inner.rollback().await?;
    outer.commit().await?;
    let undone = client.transaction().await?;
    undone.execute(&insert, &[&3, &"three"]).await?;
    undone.rollback().await?;
    check(one::<Vec<i32>>(client, &format!("SELECT array_agg(a) FROM {TABLE}"), &[]).await?, vec![1])
}

async fn error_in_transaction(client: &mut Client) -> Outcome {
    let begun = client.transaction().await?;
    fails(begun.query("SELECT 1/$1::int", &[&0]).await, "22012")?;
    fails(begun.query("SELECT 1", &[]).await, "25P02")?;
    Ok(begun.rollback().await?)
}

async fn error_after(client: &Client) -> Outcome {
    fails(client.query("SELECT * FROM no_such_table", &[]).await, "42P01")?;
    fails(client.execute(&format!("INSERT INTO {TABLE} VALUES ($1, 'again')"), &[&1]).await, "23505")?;
    check(one::<i32>(client, "SELECT $1::int", &[&7]).await?, 7)
}

async fn portal(client: &mut Client) -> Outcome {
    let begun = client.transaction().await?;
    let portal = begun.bind("SELECT generate_series(1, 25)", &[]).await?;
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(begun.query_portal(&portal, 10).await?.len());
    }
    begun.commit().await?;
    check(seen, vec![10, 10, 5, 0])
}

async fn copy_in(client: &Client) -> Outcome {
    let sink = client.copy_in(&format!("COPY {TABLE} FROM STDIN")).await?;
    let mut sink = std::pin::pin!(sink);
    for number in 1000..6000 {
        sink.send(bytes::Bytes::from(format!("{number}\t{}\n", "x".repeat(100)))).await?;
    }
    check(sink.finish().await?, 5000)?;
    check(one::<i64>(client, &format!("SELECT count(*) FROM {TABLE} WHERE a >= 1000"), &[]).await?, 5000)
}

async fn copy_in_fails(client: &Client) -> Outcome {
    let sink = client.copy_in(&format!("COPY {TABLE} FROM STDIN")).await?;
    let mut sink = std::pin::pin!(sink);
    sink.send(bytes::Bytes::from_static(b"no number\tx\n")).await?;
    fails(sink.finish().await, "22P02")?;
    check(one::<i32>(client, "SELECT 1", &[]).await?, 1)
}

async fn copy_out(client: &Client) -> Outcome {
    let stream = client.copy_out(&format!("COPY (SELECT * FROM {TABLE} WHERE a >= 1000) TO STDOUT")).await?;
    let mut stream = std::pin::pin!(stream);
    let mut lines = 0;
    while let Some(chunk) = stream.next().await {
        lines += chunk?.iter().filter(|byte| **byte == b'\n').count();
    }
    check(lines, 5000)
}

async fn cancel(client: &Client) -> Outcome {
    let (watcher, _) = connect().await?;
    let cancelling = async {
        // before it sleeps there is nothing to cancel
        while !one::<bool>(&watcher, SLEEPING, &[]).await? {}
        Ok::<(), Box<dyn Error>>(client.cancel_token().cancel_query(NoTls).await?)
    };
    let (slept, asked) = join!(client.batch_execute("SELECT pg_sleep(20)"), cancelling);
    fails(slept, "57014")?;
    asked?;
    check(one::<i32>(client, "SELECT 1", &[]).await?, 1)
}

async fn large_result(client: &Client) -> Outcome {
    let rows = client.query(LARGE, &[]).await?;
    check(rows.iter().map(|row| row.get::<_, &str>(1).len()).sum(), LARGE_BYTES)
}

async fn notify(client: &Client) -> Outcome {
    Ok(client.batch_execute("NOTIFY driver_matrix, 'nobody listens'").await?)
}

async fn set_parameter(client: &Client) -> Outcome {
    client.execute("SET work_mem = '7MB'", &[]).await?;
    for _ in 0..5 {
        check(one::<String>(client, "SHOW work_mem", &[]).await?, "7MB".to_string())?;
    }
    Ok(client.batch_execute("RESET work_mem").await?)
}

async fn temp_table(client: &Client) -> Outcome {
    client.execute("CREATE TEMP TABLE kept (a int)", &[]).await?;
    client.execute("INSERT INTO kept VALUES (1)", &[]).await?;
    check(one::<i64>(client, "SELECT count(*) FROM kept", &[]).await?, 1)
}

async fn listen(client: &Client, notifications: &mut mpsc::UnboundedReceiver<Notification>) -> Outcome {
    let (other, _kept) = connect().await?;
    client.execute("LISTEN driver_matrix", &[]).await?;
    other.query("SELECT pg_notify('driver_matrix', 'hello')", &[]).await?;
    let heard = timeout(Duration::from_secs(10), notifications.recv()).await?.ok_or("the connection ended")?;
    check((heard.channel(), heard.payload()), ("driver_matrix", "hello"))
}

#[tokio::main]
async fn main() -> Outcome {
    let session = env::args().nth(1).as_deref() == Some("session");
    let (mut client, mut notifications) = connect().await?;
    client.batch_execute(&format!("DROP TABLE IF EXISTS {TABLE}; CREATE TABLE {TABLE} (a int PRIMARY KEY, b text)")).await?;
    let server: String = one(&client, "SHOW server_version", &[]).await?;
    println!("version {DRIVER} server {server}");
    let mut failed = false;
    macro_rules! case {
        ($name:ident, $future:expr) => {
            match timeout(CASE_TIME, $future).await.unwrap_or_else(|_| Err("no answer in time".into())) {
                Ok(()) => println!("ok {}", stringify!($name)),
                Err(error) => {
                    failed = true;
                    println!("FAIL {} {error:?}", stringify!($name));
                }
            }
        };
    }
    case!(parameters, parameters(&client));
    case!(prepared, prepared(&client));
    case!(pipeline, pipeline(&client));
    case!(unknown_types, unknown_types(&client));
    case!(transaction, transaction(&mut client));
    case!(error_in_transaction, error_in_transaction(&mut client));
    case!(error_after, error_after(&client));
    case!(portal, portal(&mut client));
    case!(copy_in, copy_in(&client));
    case!(copy_in_fails, copy_in_fails(&client));
    case!(copy_out, copy_out(&client));
    case!(cancel, cancel(&client));
    case!(large_result, large_result(&client));
    case!(notify, notify(&client));
    case!(listen, listen(&client, &mut notifications));
    if session {
        case!(set_parameter, set_parameter(&client));
        case!(temp_table, temp_table(&client));
    }
    exit(failed.into())
}
