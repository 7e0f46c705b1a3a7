//! A private S3-compatible server: SeaweedFS, all of it in one process.

use std::{fs, path::Path, time::Duration};

use rustix::process::Signal;

use super::{
    error::{DevError, Result},
    files::{random_hex, write_private},
    loopback::{described, loopback_client},
    ports::free_port,
    process::{Launch, Process},
    programs,
};

/// Its parts look for each other every 5 s, and now and then never find each other.
const READY_WITHIN: Duration = Duration::from_secs(40);
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
const STOP_GRACE: Duration = Duration::from_secs(5);
/// Another process may bind a port between its choice and the server's bind.
const TRIES: u32 = 3;
const NAME: &str = "seaweedfs";

/// Data in `<dir>/seaweedfs`, log in `<dir>/logs/seaweedfs.log`. It listens on loopback only and knows two users: one that may do
/// all, and one that may only read. Dropping it kills it.
#[derive(Debug)]
pub struct SeaweedFs {
    launch: Launch,
    process: Process,
    // After the process that makes them.
    _sockets: Sockets,
    ports: Ports,
    keys: S3Keys,
    reader: S3Keys,
}

/// Who somebody is to the server.
#[derive(Debug, Clone)]
pub struct S3Keys {
    pub id: String,
    pub secret: String,
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    s3: u16,
    filer: u16,
    master: u16,
    volume: u16,
    /// Of the same four, in this order, for calls between them.
    inner: [u16; 4],
}

impl SeaweedFs {
    /// Starts it empty on free ports and waits until it takes objects.
    pub async fn start(dir: &Path) -> Result<Self> {
        let program = programs::weed()?;
        let home = dir.join(NAME);
        fs::create_dir_all(&home).map_err(DevError::file("create", &home))?;
        let (keys, reader) = (S3Keys::draw("roost")?, S3Keys::draw("reader")?);
        write_private(&home.join("s3.json"), &identities(&keys, &reader))?;
        let mut tries = TRIES;
        loop {
            // What a try before has left knows of other ports.
            let data = home.join(format!("data-{tries}"));
            fs::create_dir_all(&data).map_err(DevError::file("create", &data))?;
            let ports = Ports::free()?;
            let (launch, sockets) = (launch(&program, dir, &data, ports), Sockets(ports));
            tries -= 1;
            match run(&launch, ports).await {
                Ok(process) => {
                    return Ok(Self { launch, process, _sockets: sockets, ports, keys, reader });
                }
                Err(DevError::Exited { .. } | DevError::NotReady { .. }) if tries > 0 => continue,
                Err(error) => return Err(error),
            }
        }
    }

    pub async fn make_bucket(&self, name: &str) -> Result<()> {
        make_folder(self.ports, name).await.map_err(|source| unanswered(self.ports, source))
    }

    /// `http://127.0.0.1:PORT`
    pub fn endpoint(&self) -> String {
        url(self.ports.s3)
    }

    pub fn port(&self) -> u16 {
        self.ports.s3
    }

    /// Whoever may do all.
    pub fn keys(&self) -> &S3Keys {
        &self.keys
    }

    /// Whoever may only read.
    pub fn reader(&self) -> &S3Keys {
        &self.reader
    }

    /// SIGTERM; SIGKILL after 5 s.
    pub async fn stop(&mut self) -> Result<()> {
        self.process.stop(Signal::TERM, STOP_GRACE).await.map(drop)
    }

    /// Starts it again on the same ports with its data, after stopping it if it runs.
    pub async fn restart(&mut self) -> Result<()> {
        self.stop().await?;
        self.process = run(&self.launch, self.ports).await?;
        Ok(())
    }
}

/// It makes them where no option says otherwise, and leaves them when it is killed.
#[derive(Debug)]
struct Sockets(Ports);

impl Drop for Sockets {
    fn drop(&mut self) {
        for (name, _, inner) in self.0.named() {
            // One that is not there was never made.
            fs::remove_file(format!("/tmp/seaweedfs-{name}-grpc-{inner}.sock")).ok();
        }
    }
}

impl S3Keys {
    fn draw(id: &str) -> Result<Self> {
        Ok(Self { id: id.to_owned(), secret: random_hex::<16>()? })
    }
}

impl Ports {
    fn free() -> Result<Self> {
        let mut inner = [0; 4];
        for port in &mut inner {
            *port = free_port()?;
        }
        Ok(Self { s3: free_port()?, filer: free_port()?, master: free_port()?, volume: free_port()?, inner })
    }

    fn named(&self) -> [(&'static str, u16, u16); 4] {
        let Self { s3, filer, master, volume, inner } = *self;
        [
            ("s3", s3, inner[0]),
            ("filer", filer, inner[1]),
            ("master", master, inner[2]),
            ("volume", volume, inner[3]),
        ]
    }
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn identities(keys: &S3Keys, reader: &S3Keys) -> String {
    let identity = |keys: &S3Keys, actions: &[&str]| {
        let credentials = [serde_json::json!({ "accessKey": keys.id, "secretKey": keys.secret })];
        serde_json::json!({ "name": keys.id, "credentials": credentials, "actions": actions })
    };
    let all = [identity(keys, &["Admin", "Read", "Write", "List"]), identity(reader, &["Read", "List"])];
    serde_json::json!({ "identities": all }).to_string()
}

fn launch(program: &Path, dir: &Path, data: &Path, ports: Ports) -> Launch {
    let home = dir.join(NAME);
    let listen = ports.named().into_iter().flat_map(|(name, port, inner)| {
        [format!("-{name}.port={port}"), format!("-{name}.port.grpc={inner}")]
    });
    let option = |name: &str, path: &str| format!("-{name}={}", home.join(path).display());
    Launch::new(NAME, program, dir.join("logs").join(format!("{NAME}.log")))
        .args(["-logtostderr=true", "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3"])
        .args([format!("-dir={}", data.display()), option("s3.config", "s3.json")])
        .args([option("s3.localSocket", "s3.sock"), option("filer.localSocket", "filer.sock")])
        .args(["-master.volumeSizeLimitMB=256", "-volume.max=64", "-master.telemetry=false"])
        // A bucket that was named wrongly is not to be made, and nothing of the rest is to listen at a port of its own choice.
        .args(["-s3.autoCreateBucket=false", "-s3.iam=false", "-s3.port.iceberg=0", "-s3.port.lance=0"])
        .args(listen)
}

async fn run(launch: &Launch, ports: Ports) -> Result<Process> {
    let mut process = launch.spawn()?;
    process
        .ready_when(READY_WITHIN, || async {
            takes_files(ports).await.map_err(|error| described(&error))?;
            answers(ports).await.map_err(|error| described(&error))
        })
        .await?;
    Ok(process)
}

/// Buckets are folders of its file system.
async fn make_folder(ports: Ports, name: &str) -> reqwest::Result<()> {
    let folder = format!("{}/buckets/{name}/", url(ports.filer));
    loopback_client(ANSWER_WITHIN)?.post(folder).send().await?.error_for_status().map(drop)
}

/// It takes files only when all of its parts have found each other.
async fn takes_files(ports: Ports) -> reqwest::Result<()> {
    let file = format!("{}/ready", url(ports.filer));
    loopback_client(ANSWER_WITHIN)?.put(file).body("ready").send().await?.error_for_status().map(drop)
}

/// Whatever it says to somebody who does not say who he is.
async fn answers(ports: Ports) -> reqwest::Result<()> {
    loopback_client(ANSWER_WITHIN)?.get(url(ports.s3)).send().await.map(drop)
}

fn unanswered(ports: Ports, source: reqwest::Error) -> DevError {
    DevError::Unanswered { url: url(ports.filer), source }
}
