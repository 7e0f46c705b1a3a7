//! What a page can reach of its node's network.

use serde_json::json;
use tokio::net::{TcpListener, UdpSocket};

use crate::{site::Site, stage::Stage};

/// Its own host answers, over HTTP and over a websocket; what listens at another address, at another port of its own, and at
/// a name is not even connected to.
pub async fn reach() {
    let neighbour = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let other_port = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let places = [
        format!("http://{}/", neighbour.local_addr().unwrap()),
        format!("http://{}/", other_port.local_addr().unwrap()),
        format!("http://localhost:{}/", neighbour.local_addr().unwrap().port()),
        format!("http://[::ffff:127.0.0.1]:{}/", neighbour.local_addr().unwrap().port()),
    ];
    let script = format!(
        r#"
        const ask = (url) => fetch(url, {{ mode: 'no-cors' }}).then(() => 'reached', () => 'refused');
        const echo = new Promise((resolve) => {{
          const socket = new WebSocket(`ws://${{location.host}}/echo`);
          socket.onopen = () => socket.send('hello');
          socket.onmessage = (message) => resolve(message.data);
          socket.onerror = () => resolve('failed');
        }});
        (async () => {{
          const others = [];
          for (const url of {places}) others.push(await ask(url));
          const turned = new Promise((resolve) => {{
            const socket = new WebSocket({neighbour});
            socket.onopen = () => resolve('reached');
            socket.onerror = () => resolve('refused');
          }});
          tell({{ own: await ask('/frame'), echo: await echo, others, turned: await turned }});
        }})();"#,
        places = json!(places),
        neighbour = json!(places[0].replace("http", "ws")),
    );
    let mut site = Site::serve("127.0.0.2", &script).await;
    let stage = Stage::set(&site.url());
    let launched = stage.launch().await.unwrap();
    let connected = async {
        tokio::select! {
            peer = neighbour.accept() => peer.unwrap().1,
            peer = other_port.accept() => peer.unwrap().1,
        }
    };
    tokio::select! {
        peer = connected => panic!("the page has reached a neighbour, as {peer}"),
        told = site.told() => assert_eq!(
            told,
            json!({ "own": "reached", "echo": "hello", "others": vec!["refused"; 4], "turned": "refused" })
        ),
    }
    launched.page.kill().await;
}

/// WebRTC asks a server that the page names, by UDP and by TCP.
pub async fn webrtc() {
    let (stun, turn) =
        (UdpSocket::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let servers = json!([
        { "urls": format!("stun:{}", stun.local_addr().unwrap()) },
        {
            "urls": format!("turn:{}?transport=tcp", turn.local_addr().unwrap()),
            "username": "a",
            "credential": "b",
        },
    ]);
    let script = format!(
        r#"
        const peer = new RTCPeerConnection({{ iceServers: {servers} }});
        peer.createDataChannel('x');
        peer.onicegatheringstatechange = () => {{
          if (peer.iceGatheringState === 'complete') tell('gathered');
        }};
        peer.createOffer().then((offer) => peer.setLocalDescription(offer));"#
    );
    let mut site = Site::serve("127.0.0.2", &script).await;
    let stage = Stage::set(&site.url());
    let launched = stage.launch().await.unwrap();
    let mut datagram = [0; 64];
    tokio::select! {
        asked = stun.recv_from(&mut datagram) => panic!("the page has sent UDP: {asked:?}"),
        peer = turn.accept() => panic!("the page has reached a neighbour: {peer:?}"),
        told = site.told() => assert_eq!(told, "gathered"),
    }
    launched.page.kill().await;
}
