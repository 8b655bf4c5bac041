//! Sections, and what is known after each: for decoders in other languages. `UPDATE=1` writes them anew.

use std::path::PathBuf;
use std::sync::Arc;

use lakh_testkit::{from_hex, to_hex};
use lakh_world::{LandPlan, LandReplica};
use serde_json::{Value as Json, json};

use super::scene::{Client, Scene, inner};

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/land.json")
}

/// All that is known, by chunk. Values stand in runs: value, how many.
fn known(replica: &LandReplica, plan: &LandPlan) -> Json {
    let (dims, edge) = (usize::from(plan.dims), usize::from(plan.edge));
    let mut chunks: Vec<_> = replica.chunks().collect();
    chunks.sort_unstable();
    let chunks = chunks.into_iter().map(|chunk| {
        let values = (0..edge.pow(u32::from(plan.dims))).filter_map(|index| {
            let inner = [index % edge, index / edge % edge, index / edge / edge];
            let cell = std::array::from_fn(|axis| chunk[axis] * edge as i32 + inner[axis] as i32);
            replica.value(cell)
        });
        let values: Vec<u16> = values.collect();
        let runs: Vec<_> = values
            .chunk_by(|a, b| a == b)
            .map(|run| (run[0], run.len()))
            .collect();
        let layers = (1..=plan.layers.len() as u8).filter_map(|layer| {
            let part = replica.part(chunk, layer)?;
            Some(json!({
                "layer": plan.layers[usize::from(layer) - 1], "version": part.version,
                "type": part.kind, "bytes": to_hex(&part.bytes),
            }))
        });
        json!({
            "chunk": chunk[..dims], "version": replica.version(chunk), "runs": runs,
            "layers": layers.collect::<Vec<_>>(),
        })
    });
    chunks.collect()
}

fn after(section: &[u8], replica: &mut LandReplica, plan: &LandPlan) -> Json {
    let applied = replica.apply(inner(section)).unwrap();
    let dims = usize::from(plan.dims);
    let coords =
        |chunks: &[[i32; 3]]| -> Json { chunks.iter().map(|chunk| json!(chunk[..dims])).collect() };
    let layers: Vec<_> = applied
        .layers
        .iter()
        .map(|(chunk, layer)| json!([chunk[..dims], plan.layers[usize::from(*layer) - 1]]))
        .collect();
    json!({
        "section": to_hex(section),
        "cells": coords(&applied.cells), "gone": coords(&applied.gone), "layers": layers,
        "known": known(replica, plan),
    })
}

fn story(dims: u8) -> Json {
    let plan = LandPlan {
        dims,
        cell: 2.0,
        edge: if dims == 2 { 8 } else { 4 },
        most: 1000,
        fill: 1,
        reach: 10.0,
        layers: vec!["height".into(), "picture".into()],
    };
    let mut scene = Scene::new(plan, 1 << 20);
    let mut client = Client::new(&scene);
    let plan = Arc::clone(&scene.plan);
    let third = |z: i32| if dims == 3 { z } else { 0 };
    // A wall, a floor of two sorts, and noise: each is shortest in another form.
    let wall: Vec<_> = (-8..8).map(|x| ([x, -3, third(-1)], 300)).collect();
    let chess: Vec<_> = (0..64)
        .map(|n| {
            (
                [n % 8, n / 8 % 8, third(n / 16 % 4)],
                (n * 5 % 7 % 3) as u16 + 700,
            )
        })
        .collect();
    let noise: Vec<_> = (0..64_i32)
        .map(|n| {
            (
                [n % 8 - 8, n / 8 % 8, third(n % 4)],
                (n * 389 % 1001) as u16,
            )
        })
        .collect();
    for cells in [wall, chess, noise] {
        scene.set(&cells);
    }
    scene.put([0, 0, 0], 1, (0..40).collect());
    let mut sections = Vec::new();
    for tick in 0..40_i32 {
        match tick {
            8 => scene.set(&[([1, 1, 0], 5), ([3, 1, 0], 1000), ([0, 2, 0], 128)]),
            12 => scene.put([0, 0, 0], 2, (0..700).map(|n| (n % 251) as u8).collect()),
            14 => scene.set(&[([2, 2, 0], 6)]),
            30 => scene.put([0, 0, 0], 1, Vec::new()),
            _ => {}
        }
        if tick > 20 {
            client.at[0] += 3.0;
        }
        let (section, ..) = client.frame(&mut scene, 160);
        if !section.is_empty() {
            sections.push(section);
        }
    }
    let mut replica = LandReplica::new(Arc::clone(&plan));
    let sections = sections
        .iter()
        .map(|section| after(section, &mut replica, &plan));
    json!({"land": *plan, "sections": sections.collect::<Vec<_>>()})
}

#[test]
fn recorded_sections_are_what_is_written_and_what_is_read() {
    let stories = json!({"two dimensions": story(2), "three dimensions": story(3)});
    if std::env::var_os("UPDATE").is_some_and(|update| update == "1") {
        std::fs::write(path(), stories.to_string() + "\n").unwrap();
    }
    let recorded: Json = serde_json::from_slice(&std::fs::read(path()).unwrap()).unwrap();
    assert!(
        recorded == stories,
        "sections are not what is recorded in {}; `UPDATE=1` records them",
        path().display()
    );
    for story in recorded.as_object().unwrap().values() {
        let plan: LandPlan = serde_json::from_value(story["land"].clone()).unwrap();
        let mut replica = LandReplica::new(Arc::new(plan.clone()));
        for recorded in story["sections"].as_array().unwrap() {
            let section = from_hex(recorded["section"].as_str().unwrap());
            assert_eq!(&after(&section, &mut replica, &plan), recorded);
        }
    }
}
