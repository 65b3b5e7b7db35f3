//! Where everything stands: rounds in columns, authors in rows.

use std::collections::BTreeMap;

use crate::dag::graph::Graph;

/// The height of a line of text below the picture.
pub const NOTE_HEIGHT: i64 = 18;

const MARGIN: i64 = 24;
const HEADING_HEIGHT: i64 = 40;
const NODE_HEIGHT: i64 = 26;
const NODE_WIDTH_MIN: i64 = 40;
const NODE_GAP: i64 = 20;
const ROW_GAP: i64 = 44;
const COLUMN_GAP: i64 = 74;
const GAP_COLUMN_WIDTH: i64 = 40;
const FRAME_PADDING: i64 = 8;
/// Room below a block for its place in the sequence.
const FRAME_FOOT: i64 = 15;
const LEGEND_HEIGHT: i64 = 46;

/// Longer gaps between rounds are not drawn out.
const LONGEST_DRAWN_GAP: u64 = 3;
/// Longer names are cut.
const LONGEST_NAME: usize = 16;

/// A column of the picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Column {
    /// A round.
    Round(u64),
    /// So many rounds in which nothing is.
    Gap(u64),
}

/// A place in the picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Point {
    /// From the left.
    pub x: i64,
    /// From the top.
    pub y: i64,
}

/// A rectangle in the picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Area {
    /// From the left.
    pub x: i64,
    /// From the top.
    pub y: i64,
    /// To the right.
    pub width: i64,
    /// Downwards.
    pub height: i64,
}

/// Where everything stands.
#[derive(Debug)]
pub struct Layout {
    label_width: i64,
    node_width: i64,
    columns: Vec<(Column, i64)>,
    /// The middle of each round.
    x_of_round: BTreeMap<u64, i64>,
    /// The middle of each author's row.
    y_of_author: Vec<i64>,
    /// How many blocks stand above each other in a slot.
    stacks: BTreeMap<(u64, usize), usize>,
    nodes: Vec<Area>,
    bottom: i64,
    note_lines: i64,
}

impl Layout {
    /// Places a DAG, with room for lines of text below.
    pub fn of(graph: &Graph, note_lines: usize) -> Self {
        let width = |text: &str, size| text_width(&shortened(text), size);
        let labels = graph.members.iter().map(|member| {
            let weight = format!("weight {}", member.weight);
            width(&member.name, 14).max(text_width(&weight, 11))
        });
        let ids = graph.blocks.iter().map(|block| width(&block.id, 12) + 16);
        let mut layout = Self {
            label_width: labels.max().unwrap_or(0) + 20,
            node_width: ids.max().unwrap_or(0).max(NODE_WIDTH_MIN),
            columns: Vec::new(),
            x_of_round: BTreeMap::new(),
            y_of_author: Vec::new(),
            stacks: BTreeMap::new(),
            nodes: Vec::new(),
            bottom: 0,
            note_lines: note_lines as i64,
        };
        layout.place_columns(graph);
        layout.place_rows(graph);
        layout.place_nodes(graph);
        layout
    }

    fn place_columns(&mut self, graph: &Graph) {
        let rounds = graph.blocks.iter().map(|block| block.round);
        let mut used: Vec<u64> =
            rounds.chain(graph.slots.iter().map(|slot| slot.round)).chain([0]).collect();
        used.sort_unstable();
        used.dedup();
        let mut columns = Vec::new();
        for (at, round) in used.iter().enumerate() {
            let empty = at.checked_sub(1).map_or(0, |before| round - used[before] - 1);
            if empty >= LONGEST_DRAWN_GAP {
                columns.push(Column::Gap(empty));
            } else {
                columns.extend((round - empty..*round).map(Column::Round));
            }
            columns.push(Column::Round(*round));
        }
        let mut left = MARGIN + self.label_width;
        for column in columns {
            let width = match column {
                Column::Round(0) => NODE_GAP,
                Column::Round(_) => self.node_width,
                Column::Gap(_) => GAP_COLUMN_WIDTH,
            };
            let x = left + width / 2;
            left += width + COLUMN_GAP;
            self.columns.push((column, x));
            if let Column::Round(round) = column {
                self.x_of_round.insert(round, x);
            }
        }
    }

    fn place_rows(&mut self, graph: &Graph) {
        let mut tallest = vec![1; graph.members.len()];
        for slot in graph.blocks.chunk_by(|a, b| (a.round, a.author) == (b.round, b.author)) {
            self.stacks.insert((slot[0].round, slot[0].author), slot.len());
            let tallest = &mut tallest[slot[0].author];
            *tallest = slot.len().max(*tallest);
        }
        let mut top = MARGIN + HEADING_HEIGHT;
        for blocks in tallest {
            let height = stack_height(blocks) + ROW_GAP;
            self.y_of_author.push(top + height / 2);
            top += height;
        }
        self.bottom = top;
    }

    fn place_nodes(&mut self, graph: &Graph) {
        for slot in graph.blocks.chunk_by(|a, b| (a.round, a.author) == (b.round, b.author)) {
            let top = self.y_of_author[slot[0].author] - stack_height(slot.len()) / 2;
            let x = self.x_of_round[&slot[0].round] - self.node_width / 2;
            self.nodes.extend((0..slot.len() as i64).map(|above| Area {
                x,
                y: top + above * (NODE_HEIGHT + NODE_GAP),
                width: self.node_width,
                height: NODE_HEIGHT,
            }));
        }
    }

    /// The width and height of the picture.
    pub fn size(&self) -> (i64, i64) {
        let width = (self.row_extent().1 + MARGIN).max(2 * MARGIN + super::legend::width());
        let notes = if self.note_lines == 0 { 0 } else { (self.note_lines + 1) * NOTE_HEIGHT };
        (width, self.bottom + LEGEND_HEIGHT + notes + MARGIN)
    }

    /// The columns and their middles.
    pub fn columns(&self) -> impl Iterator<Item = (&Column, i64)> {
        self.columns.iter().map(|(column, x)| (column, *x))
    }

    /// Where columns begin and end.
    pub const fn vertical_extent(&self) -> (i64, i64) {
        (MARGIN + HEADING_HEIGHT, self.bottom)
    }

    /// Where rows begin and end.
    pub fn row_extent(&self) -> (i64, i64) {
        let last = self.columns.last().map_or(0, |(_, x)| *x);
        (MARGIN, last + self.node_width / 2 + NODE_GAP)
    }

    /// The height of the legend.
    pub const fn legend_y(&self) -> i64 {
        self.bottom + LEGEND_HEIGHT - 6
    }

    /// The implied block of an author.
    pub fn genesis(&self, author: usize) -> Point {
        let x = self.x_of_round.get(&0).copied().unwrap_or(0);
        Point { x, y: self.y_of_author.get(author).copied().unwrap_or(0) }
    }

    /// A block.
    pub fn node(&self, at: usize) -> Area {
        self.nodes[at]
    }

    /// Where a block's links to parents begin.
    pub fn left_of(&self, at: usize) -> Point {
        let node = self.nodes[at];
        Point { x: node.x, y: node.y + node.height / 2 }
    }

    /// Where the links of a block's children end.
    pub fn right_of(&self, at: usize) -> Point {
        let node = self.nodes[at];
        Point { x: node.x + node.width, y: node.y + node.height / 2 }
    }

    /// The frame around all blocks of a slot, or around the place of one if there is none.
    pub fn slot_frame(&self, round: u64, author: usize) -> Area {
        let x = self.x_of_round.get(&round).copied().unwrap_or(0);
        let y = self.y_of_author.get(author).copied().unwrap_or(0);
        let blocks = self.stacks.get(&(round, author)).copied().unwrap_or(1);
        let height = stack_height(blocks);
        Area {
            x: x - self.node_width / 2 - FRAME_PADDING,
            y: y - height / 2 - FRAME_PADDING,
            width: self.node_width + 2 * FRAME_PADDING,
            height: height + FRAME_PADDING + FRAME_FOOT,
        }
    }
}

const fn stack_height(blocks: usize) -> i64 {
    let blocks = blocks as i64;
    blocks * NODE_HEIGHT + (blocks - 1) * NODE_GAP
}

/// A name short enough for its place.
pub fn shortened(text: &str) -> String {
    if text.chars().count() <= LONGEST_NAME {
        return text.to_owned();
    }
    let kept: String = text.chars().take(LONGEST_NAME - 1).collect();
    kept + "\u{2026}"
}

/// About how wide a text is, so that it fits in any font.
pub fn text_width(text: &str, size: i64) -> i64 {
    text.chars().count() as i64 * size * 5 / 8
}
