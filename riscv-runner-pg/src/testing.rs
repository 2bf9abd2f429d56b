//! A throw-away PostgreSQL for tests and scripts: started on demand, gone with the process that
//! started it, however that ends.
//!
//! Never uses a server that it did not start, unless `RRCTL_TEST_POSTGRES_URL` names one.

use std::{
    env, fs, io,
    net::TcpListener,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use crate::config::{PgConfig, SchemaName};

/// Names a directory with `initdb` and `pg_ctl`.
const BIN_VARIABLE: &str = "RRCTL_TEST_PG_BIN";
/// Names a running server to be used instead of starting one.
const URL_VARIABLE: &str = "RRCTL_TEST_POSTGRES_URL";
/// Two processes may be given the same free port; the loser takes another.
const PORT_TRIES: u32 = 5;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Why no server is available.
#[derive(Debug, thiserror::Error)]
pub enum ThrowAwayError {
    /// No server is installed.
    #[error(
        "no PostgreSQL server binaries (initdb, pg_ctl) were found in ${BIN_VARIABLE}, $PATH or \
         /usr/lib/postgresql/*/bin; install them (apt-get install postgresql), or set {URL_VARIABLE} \
         to a server on which schemas may be created"
    )]
    NoBinaries,
    /// PostgreSQL does not run as root, and there is no other user to run it as.
    #[error("PostgreSQL refuses to run as root, and neither user postgres nor nobody exists")]
    NoUser,
    /// A step failed.
    #[error("{step} failed: {detail}")]
    Step {
        /// The step that failed.
        step: &'static str,
        /// The output of the step.
        detail: String,
    },
    /// The server is not ours.
    #[error("the server named by {URL_VARIABLE} is not ours to restart")]
    NotOurs,
}

fn step_failed(step: &'static str) -> impl FnOnce(io::Error) -> ThrowAwayError {
    move |error| ThrowAwayError::Step { step, detail: error.to_string() }
}

/// A server of our own in a temporary directory. Dropping it stops it and removes its files.
#[derive(Debug)]
pub struct ThrowAwayPostgres {
    url: String,
    own: Option<Own>,
}

#[derive(Debug)]
struct Own {
    bin: PathBuf,
    directory: PathBuf,
    user: Option<(u32, u32)>,
    /// Stops the server and removes the directory once its standard input ends: by our drop, or by
    /// the end of our process, even by a signal that nothing can handle.
    guard: Child,
}

impl ThrowAwayPostgres {
    /// Starts a server without durability, for speed.
    ///
    /// # Errors
    /// When no server binaries are found or it does not start; the message says what to do.
    pub fn start() -> Result<Self, ThrowAwayError> {
        Self::start_with(&[("fsync", "off"), ("synchronous_commit", "off"), ("full_page_writes", "off")])
    }

    /// Starts a server with these settings; none gives its default durability.
    ///
    /// # Errors
    /// As [`ThrowAwayPostgres::start`].
    pub fn start_with(settings: &[(&str, &str)]) -> Result<Self, ThrowAwayError> {
        if let Ok(url) = env::var(URL_VARIABLE) {
            return Ok(Self { url, own: None });
        }
        let bin = find_binaries().ok_or(ThrowAwayError::NoBinaries)?;
        let user = user_to_run_as()?;
        let directory = make_directory(user)?;
        // From here on the guard cleans up, whatever fails.
        let guard = spawn_guard(&bin, &directory, user)?;
        let own = Own { bin, directory, user, guard };
        own.initdb()?;
        let mut failure = None;
        for _ in 0..PORT_TRIES {
            let port = free_port()?;
            own.configure(port, settings)?;
            match own.pg_ctl("start") {
                Ok(()) => {
                    return Ok(Self {
                        url: format!("postgres://postgres@127.0.0.1:{port}/postgres"),
                        own: Some(own),
                    });
                }
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or(ThrowAwayError::NoBinaries))
    }

    /// The server shared by all tests of this process.
    ///
    /// # Panics
    /// When no server is available: a test that needs one must fail, not pass without it.
    #[must_use]
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<ThrowAwayPostgres> = OnceLock::new();
        SHARED.get_or_init(|| Self::start().unwrap_or_else(|error| panic!("{error}")))
    }

    /// Its URL, for a superuser.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A configuration with a schema that nothing else uses; it does not exist yet.
    #[must_use]
    pub fn fresh_config(&self) -> PgConfig {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        // Digits, letters and `_` only, and short.
        let schema = SchemaName::new(format!("t{}_{n}", std::process::id()));
        PgConfig::new(self.url.clone().into(), schema.expect("a valid schema name"))
    }

    /// Stops the server at once, as a crash would: connections break, what was not committed is lost.
    ///
    /// # Errors
    /// When it is not ours or does not stop.
    pub fn crash(&self) -> Result<(), ThrowAwayError> {
        self.own.as_ref().ok_or(ThrowAwayError::NotOurs)?.pg_ctl("stop")
    }

    /// Starts it again on the same port.
    ///
    /// # Errors
    /// When it is not ours or does not start.
    pub fn resume(&self) -> Result<(), ThrowAwayError> {
        self.own.as_ref().ok_or(ThrowAwayError::NotOurs)?.pg_ctl("start")
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        // The guard ends by itself; without it there is nothing left that could be done here.
        let _ = self.guard.wait();
    }
}

impl Own {
    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn initdb(&self) -> Result<(), ThrowAwayError> {
        let mut command = Command::new(self.bin.join("initdb"));
        command
            .args([
                "--auth=trust",
                "--username=postgres",
                "--encoding=UTF8",
                "--no-locale",
                "--no-sync",
                "-D",
            ])
            .arg(self.data());
        run("initdb", &mut command, self.user, &self.directory)
    }

    fn configure(&self, port: u16, settings: &[(&str, &str)]) -> Result<(), ThrowAwayError> {
        let mut text = format!(
            "listen_addresses = '127.0.0.1'\nport = {port}\nmax_connections = 200\n\
             unix_socket_directories = '{}'\n",
            self.directory.display()
        );
        for (name, value) in settings {
            text.push_str(&format!("{name} = '{}'\n", value.replace('\'', "''")));
        }
        fs::write(self.data().join("postgresql.auto.conf"), text).map_err(step_failed("writing the settings"))
    }

    fn pg_ctl(&self, action: &'static str) -> Result<(), ThrowAwayError> {
        let mut command = Command::new(self.bin.join("pg_ctl"));
        command.arg(action).arg("-D").arg(self.data()).args(["-w", "-t", "60", "-s"]);
        if action == "stop" {
            command.args(["-m", "immediate"]);
        } else {
            command.arg("-l").arg(self.directory.join("log"));
        }
        run(action, &mut command, self.user, &self.directory).map_err(|error| {
            let log = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
            ThrowAwayError::Step { step: action, detail: format!("{error}\n{log}") }
        })
    }
}

/// Runs a command to its end. Its output goes to a file: the server that `pg_ctl` leaves behind would
/// keep a pipe open.
fn run(
    step: &'static str,
    command: &mut Command,
    user: Option<(u32, u32)>,
    directory: &Path,
) -> Result<(), ThrowAwayError> {
    let output = directory.join("output");
    let file = fs::File::create(&output).map_err(step_failed(step))?;
    let errors = file.try_clone().map_err(step_failed(step))?;
    as_user(command, user).current_dir(directory).stdin(Stdio::null()).stdout(file).stderr(errors);
    let status = command.status().map_err(step_failed(step))?;
    if status.success() {
        return Ok(());
    }
    Err(ThrowAwayError::Step { step, detail: fs::read_to_string(output).unwrap_or_default() })
}

/// As the user, in a process group of its own: a terminal's interrupt is for the tests alone.
fn as_user(command: &mut Command, user: Option<(u32, u32)>) -> &mut Command {
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command.process_group(0)
}

fn spawn_guard(bin: &Path, directory: &Path, user: Option<(u32, u32)>) -> Result<Child, ThrowAwayError> {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "cat >/dev/null; \"$1\" stop -D \"$2/data\" -m immediate -w -s; rm -rf \"$2\"", "guard"])
        .arg(bin.join("pg_ctl"))
        .arg(directory)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    as_user(&mut command, user).spawn().map_err(step_failed("starting the guard of the server"))
}

fn make_directory(user: Option<(u32, u32)>) -> Result<PathBuf, ThrowAwayError> {
    const STEP: &str = "making a temporary directory";
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let directory = env::temp_dir().join(format!("rrctl-pg-{}-{n}", std::process::id()));
    fs::create_dir(&directory).map_err(step_failed(STEP))?;
    if let Some((uid, gid)) = user {
        chown(&directory, Some(uid), Some(gid)).map_err(step_failed(STEP))?;
    }
    Ok(directory)
}

fn free_port() -> Result<u16, ThrowAwayError> {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(step_failed("finding a free port"))
}

fn find_binaries() -> Option<PathBuf> {
    let named = env::var_os(BIN_VARIABLE).map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    let mut packaged: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .collect();
    // The newest first.
    packaged.sort_by_key(|path| std::cmp::Reverse(version_of(path)));
    named
        .into_iter()
        .chain(env::split_paths(&path))
        .chain(packaged)
        .find(|directory| directory.join("initdb").is_file() && directory.join("pg_ctl").is_file())
}

fn version_of(bin: &Path) -> u32 {
    let version = bin.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    version.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// A user other than root when we are root.
fn user_to_run_as() -> Result<Option<(u32, u32)>, ThrowAwayError> {
    use std::os::unix::fs::MetadataExt;
    // The owner of our own entry is our effective user.
    let uid = fs::metadata("/proc/self").map_err(step_failed("finding out the current user"))?.uid();
    if uid != 0 {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").map_err(step_failed("reading /etc/passwd"))?;
    let ids = |name: &str| {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some(name)).then_some(())?;
            let uid = fields.nth(1)?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            Some((uid, gid))
        })
    };
    ids("postgres").or_else(|| ids("nobody")).map(Some).ok_or(ThrowAwayError::NoUser)
}
