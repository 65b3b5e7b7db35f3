//! A DAG as SVG.

mod layout;
mod legend;
mod markup;
mod meaning;

use std::fmt::Write as _;

use anyhow::bail;

use super::decide::{Decisions, SlotOutcome, decide};
use super::graph::{Graph, Parent};
use layout::{Column, Layout, Point, shortened};
use markup::escaped;
use meaning::{Meaning, Verdict};

const STYLE: &str = include_str!("draw/style.css");

/// The most links that a picture can show.
const MAX_LINKS: usize = 100_000;

/// Draws a DAG, if asked with each decision and each block's place in the sequence.
///
/// # Errors
/// The DAG is too large to be looked at.
pub fn draw(graph: &Graph, with_decisions: bool) -> anyhow::Result<String> {
    let links: usize = graph.blocks.iter().map(|block| block.parents.len()).sum();
    if links > MAX_LINKS {
        bail!(
            "blocks: {links} links to parents are more than the {MAX_LINKS} that a picture can \
             show; leave rounds out"
        );
    }
    let decisions = decide(graph);
    let meaning = Meaning::of(graph, &decisions);
    let notes = if with_decisions { notes(graph, &decisions) } else { Vec::new() };
    let layout = Layout::of(graph, notes.len());
    let picture = Picture { graph, decisions: &decisions, meaning: &meaning, layout: &layout };
    let mut svg = picture.head();
    picture.columns(&mut svg);
    picture.rows(&mut svg);
    picture.leader_frames(&mut svg);
    picture.links(&mut svg);
    picture.blocks(&mut svg, with_decisions);
    let (legend_x, legend_y) = (layout.row_extent().0, layout.legend_y());
    legend::draw(&mut svg, legend_x, legend_y);
    picture.notes(&mut svg, &notes);
    svg.push_str("</svg>\n");
    Ok(svg)
}

/// What a picture is drawn from.
struct Picture<'a> {
    graph: &'a Graph,
    decisions: &'a Decisions,
    meaning: &'a Meaning,
    layout: &'a Layout,
}

impl Picture<'_> {
    fn head(&self) -> String {
        let (width, height) = self.layout.size();
        let description: Vec<String> = sentences(self.graph, self.decisions);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"title description\">\n\
             <title id=\"title\">{}</title>\n<desc id=\"description\">{}</desc>\n\
             <style>\n{STYLE}</style>\n\
             <rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>\n",
            escaped(&title(self.graph)),
            escaped(&description.join(" ")),
        )
    }

    /// Headings of the rounds, with a mark where rounds are left out.
    fn columns(&self, svg: &mut String) {
        let (top, bottom) = self.layout.vertical_extent();
        for (column, x) in self.layout.columns() {
            let (class, label) = match column {
                Column::Round(round) => ("guide", format!("round {round}")),
                Column::Gap(_) => ("guide gap", "\u{22ef}".to_owned()),
            };
            let _ = writeln!(
                svg,
                "<path class=\"{class}\" d=\"M{x} {top}V{bottom}\"/>\
                 <text class=\"heading\" x=\"{x}\" y=\"{}\">{label}</text>",
                top - 12,
            );
            if let Column::Gap(rounds) = column {
                let plural = if *rounds == 1 { "" } else { "s" };
                let _ = writeln!(
                    svg,
                    "<text class=\"small muted\" x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{rounds} \
                     empty round{plural}</text>",
                    bottom + 14,
                );
            }
        }
    }

    /// Names and weights of the authors, and their blocks of round 0.
    fn rows(&self, svg: &mut String) {
        for (author, member) in self.graph.members.iter().enumerate() {
            let Point { x, y } = self.layout.genesis(author);
            let (label_x, line_end) = self.layout.row_extent();
            let name = escaped(&shortened(&member.name));
            let _ = writeln!(
                svg,
                "<path class=\"row\" d=\"M{label_x} {y}H{line_end}\"/>\
                 <text class=\"name\" x=\"{label_x}\" y=\"{}\">{name}</text>\
                 <text class=\"small muted\" x=\"{label_x}\" y=\"{}\">weight {}</text>\
                 <circle class=\"genesis\" cx=\"{x}\" cy=\"{y}\" r=\"4\"><title>{}</title></circle>",
                y - 5,
                y + 12,
                member.weight,
                escaped(&format!("{}0, implied", member.name)),
            );
        }
    }

    /// A frame around each leader slot, also an empty one, with what was decided.
    fn leader_frames(&self, svg: &mut String) {
        for (at, slot) in self.graph.slots.iter().enumerate() {
            let verdict = self.meaning.slots[at];
            let frame = self.layout.slot_frame(slot.round, slot.leader);
            let class = verdict.class();
            let _ = writeln!(
                svg,
                "<g class=\"leader {class}\"><title>{}</title>\
                 <rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"9\"/>",
                escaped(&sentence(self.graph, self.decisions, at)),
                frame.x,
                frame.y,
                frame.width,
                frame.height,
            );
            if self.meaning.blocks_in_slot(self.graph, slot.round, slot.leader).is_empty() {
                let _ = writeln!(
                    svg,
                    "<text class=\"small\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">no block</text>",
                    frame.x + frame.width / 2,
                    frame.y + frame.height / 2 + 4,
                );
            }
            svg.push_str("</g>\n");
        }
    }

    /// The badges come after the links, which would cross them.
    fn badges(&self, svg: &mut String) {
        for (at, slot) in self.graph.slots.iter().enumerate() {
            let verdict = self.meaning.slots[at];
            let frame = self.layout.slot_frame(slot.round, slot.leader);
            let (x, y) = (frame.x + frame.width - 4, frame.y + 2);
            let _ = writeln!(
                svg,
                "<g class=\"badge {} {}\"><circle cx=\"{x}\" cy=\"{y}\" r=\"8\"/>\
                 <text x=\"{x}\" y=\"{}\">{}</text></g>",
                verdict.class(),
                verdict.rule_class(),
                y + 4,
                verdict.sign(),
            );
        }
    }

    fn links(&self, svg: &mut String) {
        let mut votes = String::new();
        svg.push_str("<g class=\"links\">\n");
        for (child, block) in self.graph.blocks.iter().enumerate() {
            for parent in &block.parents {
                let (from, weak, vote) = match *parent {
                    Parent::Genesis(author) => (self.layout.genesis(author), block.round > 1, None),
                    Parent::Block(at) => {
                        let above = block.round - self.graph.blocks[at].round;
                        let votes = above == 1 && self.meaning.leader_blocks[at].is_some();
                        let class = self.meaning.shown_verdict(at).map_or("lost", Verdict::class);
                        (self.layout.right_of(at), above > 1, votes.then_some(class))
                    }
                };
                let curve = curve(from, self.layout.left_of(child));
                match vote {
                    None => {
                        let class = if weak { " class=\"weak\"" } else { "" };
                        let _ = writeln!(svg, "<path{class} d=\"{curve}\"/>");
                    }
                    Some(class) => {
                        let _ = writeln!(votes, "<path class=\"vote {class}\" d=\"{curve}\"/>");
                    }
                }
            }
        }
        svg.push_str(&votes);
        svg.push_str("</g>\n");
        self.badges(svg);
    }

    fn blocks(&self, svg: &mut String, with_places: bool) {
        for (at, block) in self.graph.blocks.iter().enumerate() {
            let node = self.layout.node(at);
            let verdict = self.meaning.shown_verdict(at);
            let fork = if self.meaning.forked[at] { " fork" } else { "" };
            let class = verdict.map_or("", Verdict::class);
            let (x, y) = (node.x + node.width / 2, node.y + node.height / 2);
            let _ = write!(
                svg,
                "<g class=\"block {class}{fork}\"><title>{}</title>\
                 <rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"6\"/>\
                 <text x=\"{x}\" y=\"{}\">{}</text>",
                escaped(&self.tooltip(at)),
                node.x,
                node.y,
                node.width,
                node.height,
                y + 4,
                escaped(&shortened(&block.id)),
            );
            let certified = &self.meaning.certifies[at];
            for (index, leader) in certified.iter().enumerate() {
                let class = self.meaning.leader_blocks[*leader].map_or("", Verdict::class);
                let x = node.x + 8 + 8 * index as i64;
                let _ = write!(
                    svg,
                    "<circle class=\"certificate {class}\" cx=\"{x}\" cy=\"{}\" r=\"3\"/>",
                    node.y + node.height,
                );
            }
            if let Some(place) = self.meaning.places[at].filter(|_| with_places) {
                let _ = write!(
                    svg,
                    "<text class=\"place\" x=\"{}\" y=\"{}\">{place}</text>",
                    node.x + node.width - 2,
                    node.y + node.height + 11,
                );
            }
            svg.push_str("</g>\n");
        }
    }

    fn tooltip(&self, at: usize) -> String {
        let block = &self.graph.blocks[at];
        let author = &self.graph.members[block.author].name;
        let mut text = format!("{} by {author}, round {}", block.id, block.round);
        let parents = block.parents.iter().map(|parent| match *parent {
            Parent::Genesis(author) => format!("{}0", self.graph.members[author].name),
            Parent::Block(at) => self.graph.blocks[at].id.clone(),
        });
        let _ = write!(text, "; parents: {}", list(parents));
        let id_of = |leader: &usize| self.graph.blocks[*leader].id.clone();
        if !self.meaning.certifies[at].is_empty() {
            let _ =
                write!(text, "; certifies {}", list(self.meaning.certifies[at].iter().map(id_of)));
        }
        if let Some(place) = self.meaning.places[at] {
            let _ = write!(text, "; number {place} of the sequence");
        }
        text
    }

    fn notes(&self, svg: &mut String, notes: &[String]) {
        let (x, mut y) = (self.layout.row_extent().0, self.layout.legend_y() + 34);
        for note in notes {
            let _ =
                writeln!(svg, "<text class=\"note\" x=\"{x}\" y=\"{y}\">{}</text>", escaped(note));
            y += layout::NOTE_HEIGHT;
        }
    }
}

/// A line from a parent, on the left, to its child, that leaves and arrives level.
fn curve(parent: Point, child: Point) -> String {
    let pull = ((child.x - parent.x) / 2).max(24);
    format!(
        "M{} {}C{} {} {} {} {} {}",
        child.x,
        child.y,
        child.x - pull,
        child.y,
        parent.x + pull,
        parent.y,
        parent.x,
        parent.y,
    )
}

fn title(graph: &Graph) -> String {
    let rounds = graph.blocks.iter().map(|block| block.round);
    let (members, blocks) = (graph.members.len(), graph.blocks.len());
    match (rounds.clone().min(), rounds.max()) {
        (Some(first), Some(last)) => {
            format!("DAG of {members} authors: {blocks} blocks in rounds {first} to {last}")
        }
        _ => format!("DAG of {members} authors without blocks"),
    }
}

/// What was decided for each leader slot, in words.
fn sentences(graph: &Graph, decisions: &Decisions) -> Vec<String> {
    (0..graph.slots.len()).map(|at| sentence(graph, decisions, at) + ".").collect()
}

fn sentence(graph: &Graph, decisions: &Decisions, at: usize) -> String {
    use qcn_consensus::commit_rule::Rule;
    let slot = graph.slots[at];
    let leader = format!("Round {}, leader {}", slot.round, graph.members[slot.leader].name);
    let how = |rule| if rule == Rule::Direct { "directly" } else { "through an anchor" };
    match decisions.slots[at] {
        None => format!("{leader}: undecided"),
        Some((SlotOutcome::Skip, rule)) => format!("{leader}: skipped {}", how(rule)),
        Some((SlotOutcome::Commit(block), rule)) => {
            format!("{leader}: {} commits {}", graph.blocks[block].id, how(rule))
        }
    }
}

/// The decisions and the sequence, in lines.
fn notes(graph: &Graph, decisions: &Decisions) -> Vec<String> {
    const LINE: usize = 100;
    let mut lines: Vec<String> =
        (0..graph.slots.len()).map(|at| sentence(graph, decisions, at)).collect();
    let mut line = "Sequence:".to_owned();
    for at in &decisions.sequence {
        let id = &graph.blocks[*at].id;
        if line.chars().count() + id.chars().count() >= LINE {
            lines.push(std::mem::replace(&mut line, "   ".to_owned()));
        }
        line.push(' ');
        line.push_str(id);
    }
    if decisions.sequence.is_empty() {
        line.push_str(" nothing yet");
    }
    lines.push(line);
    lines
}

fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}
