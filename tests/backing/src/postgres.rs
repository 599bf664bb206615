//! A PostgreSQL server of the tests' own: `initdb` into a temporary directory, a free port, an unprivileged user.

use std::{
    fs,
    io::Write,
    net::TcpListener,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::sync::OnceCell;
use uuid::Uuid;

/// The superuser of the database.
const USER: &str = "graft";
/// A server that does not answer by then has failed.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Runs a server ("$0") on a directory ("$1") for as long as the standard input is open, however its other end goes. Then it
/// stops the server at once, and removes the directory unless it was told to keep it.
const KEEPER: &str = r#"
folder=$1; shift
"$0" -D "$folder" "$@" >>"$folder/log" 2>&1 &
server=$!
read -r word || word=
kill -QUIT "$server"; wait "$server"
[ "$word" = keep ] || rm -rf "$folder"
"#;

/// A running server. It ends with it, and with the process.
#[derive(Debug)]
pub struct Postgres {
    folder: PathBuf,
    port: u16,
    account: Option<(u32, u32)>,
    keeper: Child,
}

/// The server that the tests of this process share.
pub async fn shared() -> Result<&'static Postgres> {
    static SHARED: OnceCell<Postgres> = OnceCell::const_new();
    SHARED.get_or_try_init(Postgres::start).await
}

impl Postgres {
    /// Start a server without databases.
    pub async fn start() -> Result<Postgres> {
        let account = unprivileged()?;
        let folder = tempfile::Builder::new().prefix("graft-postgres-").tempdir()?.keep();
        if let Some((user, group)) = account {
            chown(&folder, Some(user), Some(group)).context("giving the directory to the user postgres")?;
        }
        make(&folder, account)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let keeper = keep(&folder, port, account)?;
        let server = Postgres { folder, port, account, keeper };
        server.wait_ready().await?;
        Ok(server)
    }

    /// A new empty database: its URL.
    pub async fn database(&self) -> Result<String> {
        let name = format!("d{}", Uuid::now_v7().simple());
        let mut connection = PgConnection::connect(&self.url("postgres")).await?;
        connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await?;
        connection.close().await?;
        Ok(self.url(&name))
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{database}", self.port)
    }

    /// Stop it at once, as a crash would: connections are cut, and what was not committed is lost.
    pub fn stop(&mut self) -> Result<()> {
        let mut input = self.keeper.stdin.take().context("it is stopped already")?;
        input.write_all(b"keep\n")?;
        ensure!(self.keeper.wait()?.success(), "the server could not be stopped: {}", self.log());
        Ok(())
    }

    /// Start it again with the same databases on the same port.
    pub async fn start_again(&mut self) -> Result<()> {
        self.keeper = keep(&self.folder, self.port, self.account)?;
        self.wait_ready().await
    }

    async fn wait_ready(&self) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < READY_WITHIN {
            if let Ok(connection) = PgConnection::connect(&self.url("postgres")).await {
                return Ok(connection.close().await?);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("PostgreSQL is not ready: {}", self.log())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // It may be gone already.
        let _ = self.keeper.wait();
    }
}

/// User and group to run the server as, where this process is root: PostgreSQL does not run as root.
fn unprivileged() -> Result<Option<(u32, u32)>> {
    let id = |flags: &[&str]| -> Result<u32> {
        let output = Command::new("id").args(flags).output()?;
        ensure!(output.status.success(), "id {flags:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?.trim().parse()?)
    };
    if id(&["-u"])? != 0 {
        return Ok(None);
    }
    Ok(Some((id(&["-u", "postgres"])?, id(&["-g", "postgres"])?)))
}

/// A command of the installed PostgreSQL. Debian keeps them off the path.
fn program(name: &str) -> Result<PathBuf> {
    let versions =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&path).chain(versions).map(|folder| folder.join(name)).find(|file| file.is_file());
    found.with_context(|| format!("there is no {name}; scripts/postgres.sh installs PostgreSQL"))
}

fn command(program: impl AsRef<Path>, folder: &Path, account: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program.as_ref());
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("LC_ALL", "C.UTF-8");
    command.current_dir(folder);
    if let Some((user, group)) = account {
        command.uid(user).gid(group);
    }
    command
}

/// Make the files of a server. Its text is in an order that is not that of the bytes, as it is on most servers.
fn make(folder: &Path, account: Option<(u32, u32)>) -> Result<()> {
    let output = command(program("initdb")?, folder, account)
        .arg("-D")
        .arg(folder)
        .args(["-U", USER, "--auth=trust", "--no-sync", "-E", "UTF8", "--locale-provider=icu", "--icu-locale=en-US"])
        .output()?;
    ensure!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn keep(folder: &Path, port: u16, account: Option<(u32, u32)>) -> Result<Child> {
    let sockets = format!("unix_socket_directories={}", folder.display());
    // Nothing of the tests outlives a crash of the machine.
    let settings = ["listen_addresses=127.0.0.1", &sockets, "fsync=off", "max_connections=400", "shared_buffers=32MB"];
    command("sh", folder, account)
        .args(["-c", KEEPER])
        .arg(program("postgres")?)
        .arg(folder)
        .args(["-p", &port.to_string()])
        .args(settings.iter().flat_map(|setting| ["-c", setting]))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("starting PostgreSQL")
}
