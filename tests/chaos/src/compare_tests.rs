//! Records made by hand, each with one thing wrong, or nothing that only looks so.

use super::{Kind, compare};
use crate::records::Records;

/// Writer 0 sends `count` acknowledged messages into r1, number n at time 1000 n.
fn written(count: u64) -> String {
    let mut text = "c 0 0 0 0 writer\n".to_owned();
    for number in 1..=count {
        let time = number * 1_000;
        text += &format!("w {time} 0 r1 {number}\na {} 0 r1 {number}\n", time + 10);
    }
    text
}

/// A client that is in r1 from the start, and sees those numbers.
fn receiver(client: u64, numbers: &[u64]) -> String {
    format!("c 0 {client} 0 0 id{client}\nj 1 {client} r1\n") + &seen(client, numbers)
}

fn seen(client: u64, numbers: &[u64]) -> String {
    let line = |number: &u64| format!("e {} {client} r1 0 {number} 0\n", number * 1_000 + 100);
    numbers.iter().map(line).collect()
}

fn found(parts: &[String]) -> Vec<(Kind, Option<usize>, usize)> {
    let mut records = Records::default();
    for part in parts {
        if let Err(error) = records.read(part) {
            panic!("{error}");
        }
    }
    let found = compare(&records);
    found
        .iter()
        .map(|one| (one.kind, one.client, one.count))
        .collect()
}

#[test]
fn nothing_is_wrong_where_everybody_saw_everything() {
    let all = [1, 2, 3, 4];
    assert_eq!(
        found(&[written(4), receiver(1, &all), receiver(2, &all)]),
        []
    );
}

#[test]
fn a_missing_message_is_a_gap() {
    let all = [1, 2, 3, 4];
    let parts = [written(4), receiver(1, &all), receiver(2, &[1, 3, 4])];
    assert_eq!(found(&parts), [(Kind::Gap, Some(2), 1)]);
}

#[test]
fn the_end_and_the_beginning_count() {
    let all = [1, 2, 3, 4];
    let parts = [written(4), receiver(1, &all), receiver(2, &[1, 2])];
    assert_eq!(found(&parts), [(Kind::Gap, Some(2), 2)]);
    let parts = [written(4), receiver(1, &all), receiver(2, &[3, 4])];
    assert_eq!(found(&parts), [(Kind::Gap, Some(2), 2)]);
    let parts = [written(4), receiver(1, &all), receiver(2, &[])];
    assert_eq!(found(&parts), [(Kind::Gap, Some(2), 4)]);
}

#[test]
fn what_was_sent_before_the_join_is_not_missed() {
    let late = "c 2500 2 0 0 id2\nj 2600 2 r1\n".to_owned() + &seen(2, &[3, 4]);
    let parts = [written(4), receiver(1, &[1, 2, 3, 4]), late];
    assert_eq!(found(&parts), []);
}

#[test]
fn a_message_that_comes_twice_is_a_double() {
    let all = [1, 2, 3, 4];
    let parts = [written(4), receiver(1, &all), receiver(2, &[1, 2, 2, 3, 4])];
    assert_eq!(found(&parts), [(Kind::Double, Some(2), 1)]);
    let parts = [written(4), receiver(1, &all), receiver(2, &[1, 2, 3, 4, 2])];
    assert_eq!(found(&parts), [(Kind::Double, Some(2), 1)]);
}

#[test]
fn another_order_than_the_others_is_a_reordering_and_no_gap() {
    let all = [1, 2, 3, 4];
    let parts = [
        written(4),
        receiver(1, &all),
        receiver(2, &[1, 3, 2, 4]),
        receiver(3, &all),
    ];
    assert_eq!(found(&parts), [(Kind::Reorder, Some(2), 1)]);
}

#[test]
fn one_order_for_all_but_not_that_of_the_writer() {
    let swapped = [1, 3, 2, 4];
    let parts = [written(4), receiver(1, &swapped), receiver(2, &swapped)];
    assert_eq!(found(&parts), [(Kind::WriterOrder, None, 1)]);
}

#[test]
fn what_was_under_way_on_a_lost_connection_may_come_late() {
    // Number 2 was sent on the first connection, number 3 on the second, before 2 was acknowledged.
    let writer = "c 0 0 0 0 w\nw 1000 0 r1 1\na 1010 0 r1 1\nw 2000 0 r1 2\nd 2001 0 x\nc 2002 0 1 1 w\n\
                  w 3000 0 r1 3\na 3010 0 r1 3\n";
    let order = [1, 3, 2];
    let parts = [writer.to_owned(), receiver(1, &order), receiver(2, &order)];
    assert_eq!(found(&parts), []);
}

#[test]
fn a_gap_is_found_over_connections_that_were_recovered() {
    let back =
        receiver(2, &[1, 2]) + "d 2200 2 transport close\nc 2300 2 1 1 id2\n" + &seen(2, &[4]);
    let parts = [written(4), receiver(1, &[1, 2, 3, 4]), back];
    assert_eq!(found(&parts), [(Kind::Gap, Some(2), 1)]);
}

#[test]
fn who_was_told_may_miss_what_was_in_between() {
    let told = receiver(2, &[1, 2])
        + "d 2200 2 transport close\nc 3200 2 1 0 other\nj 3300 2 r1\n"
        + &seen(2, &[4]);
    let parts = [written(4), receiver(1, &[1, 2, 3, 4]), told];
    assert_eq!(found(&parts), []);
}

#[test]
fn a_gap_before_being_told_is_a_gap() {
    let told = receiver(2, &[1, 3])
        + "d 3200 2 transport close\nc 3300 2 1 0 other\nj 3400 2 r1\n"
        + &seen(2, &[4]);
    let parts = [written(4), receiver(1, &[1, 2, 3, 4]), told];
    assert_eq!(found(&parts), [(Kind::Gap, Some(2), 1)]);
}

/// Number 2 was sent and never acknowledged.
fn with_one_unacknowledged() -> String {
    written(4).replace("a 2010 0 r1 2\n", "")
}

#[test]
fn a_message_without_acknowledgement_is_for_all_or_none() {
    let without = [1, 3, 4];
    let one = with_one_unacknowledged();
    let parts = [one.clone(), receiver(1, &without), receiver(2, &without)];
    assert_eq!(found(&parts), []);
    let parts = [one, receiver(1, &[1, 2, 3, 4]), receiver(2, &without)];
    assert_eq!(found(&parts), [(Kind::Gap, Some(2), 1)]);
}

#[test]
fn what_only_somebody_saw_who_was_told_does_not_count() {
    let told =
        receiver(1, &[1, 2]) + "d 2200 1 x\nc 2300 1 1 0 other\nj 2400 1 r1\n" + &seen(1, &[3, 4]);
    let parts = [with_one_unacknowledged(), told, receiver(2, &[1, 3, 4])];
    assert_eq!(found(&parts), []);
}

#[test]
fn acknowledged_and_seen_by_nobody_is_a_gap_for_all() {
    let without = [1, 3, 4];
    let parts = [written(4), receiver(1, &without), receiver(2, &without)];
    assert_eq!(found(&parts), [(Kind::Gap, None, 2)]);
}

#[test]
fn the_servers_count_goes_one_by_one_and_is_the_same_for_all() {
    let counted = |client: u64, counts: [u64; 3]| {
        let lines = (1..=3).zip(counts).map(|(number, count)| {
            format!(
                "e {} {client} r1 0 {number} {count}\n",
                number * 1_000 + 100
            )
        });
        receiver(client, &[]) + &lines.collect::<String>()
    };
    let parts = [written(3), counted(1, [5, 6, 7]), counted(2, [5, 6, 7])];
    assert_eq!(found(&parts), []);
    let parts = [written(3), counted(1, [5, 7, 8]), counted(2, [5, 7, 8])];
    assert_eq!(
        found(&parts),
        [(Kind::Count, Some(1), 1), (Kind::Count, Some(2), 1)]
    );
    let parts = [written(3), counted(1, [5, 6, 7]), counted(2, [6, 7, 8])];
    let wrong = found(&parts);
    assert_eq!(wrong, [(Kind::Count, Some(2), 1); 3]);
}

#[test]
fn other_things_that_are_wrong() {
    let all = [1, 2, 3];
    let stuck = receiver(2, &all) + "d 3200 2 transport close\n";
    let parts = [written(3), receiver(1, &all), stuck];
    assert_eq!(found(&parts), [(Kind::Stuck, Some(2), 1)]);
    let other = receiver(2, &all) + "d 3200 2 x\nc 3300 2 0 1 other\n";
    let parts = [written(3), receiver(1, &all), other];
    assert_eq!(found(&parts), [(Kind::OtherId, Some(2), 1)]);
    let parts = [written(3), receiver(1, &all), receiver(2, &[1, 2, 3, 9])];
    let kinds: Vec<_> = found(&parts).iter().map(|(kind, ..)| *kind).collect();
    assert!(kinds.contains(&Kind::Phantom), "{kinds:?}");
    let not = receiver(2, &all) + "w 3500 2 r1 1\nx 3600 2 r1 1 not_member\n";
    let parts = [written(3), receiver(1, &all), not];
    assert_eq!(found(&parts), [(Kind::LostRoom, Some(2), 1)]);
}
