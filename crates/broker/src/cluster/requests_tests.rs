//! What waits for answers, under a clock of the tests.

use super::*;

fn id(text: &str) -> RequestId {
    RequestId::new(text)
}

fn others(names: &[&str]) -> Others {
    Others {
        count: names.len(),
        names: names.iter().map(|name| Uid::new(name)).collect(),
    }
}

fn emitted(request: &str, data: &str) -> Response {
    Response::ServerSideEmit {
        request: id(request),
        data: Some(Data::Json(data.to_owned())),
    }
}

fn count(request: &str, count: u64) -> Response {
    let request = id(request);
    Response::ClientCount { request, count }
}

fn ack(request: &str) -> Response {
    Response::Ack {
        request: id(request),
        data: None,
    }
}

fn socket(id: &str) -> RemoteSocket {
    RemoteSocket {
        id: id.to_owned(),
        handshake: Data::Json("{}".to_owned()),
        rooms: Vec::new(),
        data: Data::Json("{}".to_owned()),
    }
}

#[test]
fn a_request_ends_with_the_last_answer() -> Result<(), AskError> {
    let mut requests = Requests::default();
    let (a, b) = (Uid::new("a"), Uid::new("b"));
    let asked = requests.ask(&id("1"), Ask::ServerSideEmit, others(&["a", "b"]), 5000)?;
    assert_eq!(asked, None);
    assert_eq!(requests.handle(Some(&a), emitted("other", "0")), None);
    assert_eq!(requests.handle(Some(&a), emitted("1", "1")), None);
    // The same node twice counts once.
    assert_eq!(requests.handle(Some(&a), emitted("1", "1")), None);
    let finished = requests.handle(Some(&b), emitted("1", "2"));
    let both = ["1", "2"].map(|text| Some(Data::Json(text.to_owned())));
    let expected = Finished {
        request: id("1"),
        answers: Answers::ServerSideEmit(both.to_vec()),
        end: End::Complete,
        missing: 0,
        silent: Vec::new(),
    };
    assert_eq!(finished, Some(expected));
    assert_eq!(requests.outstanding(), (0, 0));
    assert_eq!(requests.next_deadline(), None);
    Ok(())
}

#[test]
fn a_node_alone_has_nobody_to_wait_for() -> Result<(), AskError> {
    let mut requests = Requests::default();
    let asked = requests.ask(&id("1"), Ask::Sockets, Others::default(), 5000)?;
    assert_eq!(
        asked.map(|finished| finished.answers),
        Some(Answers::Sockets(Vec::new()))
    );
    assert_eq!(requests.outstanding(), (0, 0));
    Ok(())
}

#[test]
fn at_its_deadline_a_request_gives_what_there_is_and_names_who_is_missing() -> Result<(), AskError>
{
    let mut requests = Requests::default();
    requests.ask(&id("1"), Ask::Sockets, others(&["a", "b", "c"]), 5000)?;
    let sockets = vec![socket("s")];
    let request = id("1");
    requests.handle(Some(&Uid::new("b")), Response::Sockets { request, sockets });
    assert_eq!(requests.next_deadline(), Some(5000));
    assert_eq!(requests.expire(4999), []);
    let [finished] = &requests.expire(5000)[..] else {
        panic!("it has not ended");
    };
    assert_eq!(finished.end, End::TimedOut);
    assert_eq!(finished.missing, 2);
    assert_eq!(finished.silent, [Uid::new("a"), Uid::new("c")]);
    assert_eq!(finished.answers, Answers::Sockets(vec![socket("s")]));
    assert_eq!(requests.outstanding(), (0, 0));
    Ok(())
}

#[test]
fn nodes_that_do_not_say_who_they_are_are_counted() -> Result<(), AskError> {
    let mut requests = Requests::default();
    let two = Others {
        count: 2,
        names: Vec::new(),
    };
    requests.ask(&id("1"), Ask::ServerSideEmit, two, 5000)?;
    assert_eq!(requests.handle(None, emitted("1", "1")), None);
    let finished = requests.handle(None, emitted("1", "1"));
    assert_eq!(finished.map(|finished| finished.missing), Some(0));
    Ok(())
}

#[test]
fn acknowledgements_are_counted_across_nodes_whatever_comes_first() -> Result<(), AskError> {
    let mut requests = Requests::default();
    let (us, them) = (Uid::new("us"), Uid::new("them"));
    requests.ask(&id("1"), Ask::Acks, others(&["them"]), 1000)?;
    assert_eq!(requests.handle(Some(&us), count("1", 1)), None);
    assert_eq!(requests.handle(Some(&us), ack("1")), None);
    // One acknowledgement overtakes the count of its node.
    assert_eq!(requests.handle(Some(&them), ack("1")), None);
    assert_eq!(requests.handle(Some(&them), count("1", 2)), None);
    let finished = requests.handle(Some(&them), ack("1"));
    let acks = vec![None; 3];
    assert_eq!(
        finished.map(|finished| finished.answers),
        Some(Answers::Acks { clients: 3, acks })
    );
    Ok(())
}

#[test]
fn nobody_waits_for_clients_and_answers_of_a_node_that_is_gone() -> Result<(), AskError> {
    let mut requests = Requests::default();
    let (us, them) = (Uid::new("us"), Uid::new("them"));
    requests.ask(&id("1"), Ask::Acks, others(&["them"]), 1000)?;
    requests.ask(&id("2"), Ask::Sockets, others(&["them"]), 1000)?;
    requests.ask(&id("3"), Ask::Sockets, others(&["another"]), 1000)?;
    requests.handle(Some(&us), count("1", 0));
    requests.handle(Some(&them), count("1", 5));
    requests.handle(Some(&them), ack("1"));
    let mut ended = requests.node_gone(&them);
    ended.sort_by(|a, b| a.request.cmp(&b.request));
    let ends: Vec<_> = ended
        .iter()
        .map(|finished| (finished.request.as_str(), finished.end, finished.missing))
        .collect();
    assert_eq!(ends, [("1", End::Complete, 0), ("2", End::Complete, 0)]);
    assert_eq!(requests.outstanding().0, 1);
    Ok(())
}

#[test]
fn requests_and_the_bytes_of_answers_are_bounded() -> Result<(), AskError> {
    let mut requests = Requests::new(Bounds {
        max_pending: 2,
        max_answer_bytes: 10,
    });
    requests.ask(&id("1"), Ask::ServerSideEmit, others(&["a", "b"]), 1)?;
    requests.ask(&id("2"), Ask::ServerSideEmit, others(&["a", "b"]), 1)?;
    let third = requests.ask(&id("3"), Ask::Sockets, others(&["a"]), 1);
    assert_eq!(third, Err(AskError::TooMany { pending: 2 }));
    assert_eq!(
        requests.handle(Some(&Uid::new("a")), emitted("1", "\"12345\"")),
        None
    );
    let finished = requests.handle(Some(&Uid::new("a")), emitted("2", "\"12345\""));
    assert_eq!(
        finished.map(|finished| (finished.end, finished.missing)),
        Some((End::TooLarge, 2))
    );
    assert_eq!(requests.outstanding(), (1, 7));
    Ok(())
}
