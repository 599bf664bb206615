//! A vision transformer: patches, class token, positions, an attention block, the head on the class token.

use super::{Graph, Value};

/// Features of a token.
pub const WIDTH: i64 = 24;
const HEADS: i64 = 2;
/// Patches of 8 × 8 pixels in an image of 32 × 32, and the class token.
const TOKENS: i64 = 17;

/// Write one. With `fixed`, the way exporters do for a batch of one: its number stands in the shapes, and the class token is
/// there once. Else shapes are computed from the images' own.
pub fn vit(fixed: bool) -> Graph {
    let mut graph = Graph::new(&[if fixed { 1 } else { 0 }, 3, 32, 32]);
    let mut vit = Vit { graph: &mut graph, fixed };
    vit.embed();
    vit.attention();
    vit.perceptron();
    graph.layer_norm("norm", "block", WIDTH);
    let first = graph.integer("class.index", 0);
    graph.op("class", "Gather", &["norm", &first], &[("axis", Value::Int(1))]);
    graph.gemm("logits", "class", WIDTH, 10);
    graph.output("logits", &[if fixed { 1 } else { 0 }, 10]);
    graph
}

struct Vit<'a> {
    graph: &'a mut Graph,
    fixed: bool,
}

impl Vit<'_> {
    /// Reshape to `[batch, rest…]`.
    fn reshape(&mut self, name: &str, input: &str, rest: &[i64]) {
        let shape = if self.fixed {
            let shape: Vec<i64> = [1].iter().chain(rest).copied().collect();
            self.graph.integers(&format!("{name}.shape"), &shape)
        } else {
            let images = self.images(name);
            let rest = self.graph.integers(&format!("{name}.rest"), rest);
            self.graph.op(&format!("{name}.shape"), "Concat", &[&images, &rest], &[("axis", Value::Int(0))])
        };
        self.graph.op(name, "Reshape", &[input, &shape], &[]);
    }

    /// The number of images, as a list of one.
    fn images(&mut self, name: &str) -> String {
        let shape = self.graph.op(&format!("{name}.all"), "Shape", &["images"], &[]);
        let zero = self.graph.integer(&format!("{name}.zero"), 0);
        let axes = self.graph.integers(&format!("{name}.axes"), &[0]);
        let number = self.graph.op(&format!("{name}.number"), "Gather", &[&shape, &zero], &[("axis", Value::Int(0))]);
        self.graph.op(&format!("{name}.images"), "Unsqueeze", &[&number, &axes], &[])
    }

    fn embed(&mut self) {
        self.graph.conv("patches", "images", [WIDTH, 3, 8, 8], 8, 1);
        self.reshape("flat", "patches", &[WIDTH, TOKENS - 1]);
        self.graph.op("words", "Transpose", &["flat"], &[("perm", Value::Ints(&[0, 2, 1]))]);
        let mut class = self.graph.weights("class.token", &[1, 1, WIDTH], 1.0);
        if !self.fixed {
            let images = self.images("each");
            let rest = self.graph.integers("each.rest", &[1, WIDTH]);
            let shape = self.graph.op("each.shape", "Concat", &[&images, &rest], &[("axis", Value::Int(0))]);
            class = self.graph.op("class.each", "Expand", &[&class, &shape], &[]);
        }
        self.graph.op("sequence", "Concat", &[&class, "words"], &[("axis", Value::Int(1))]);
        let positions = self.graph.weights("positions", &[1, TOKENS, WIDTH], 0.5);
        self.graph.op("tokens", "Add", &["sequence", &positions], &[]);
    }

    fn attention(&mut self) {
        self.graph.layer_norm("attention.norm", "tokens", WIDTH);
        for (part, order) in [("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])] {
            let linear = self.graph.linear(&format!("{part}.linear"), "attention.norm", WIDTH, WIDTH);
            self.reshape(&format!("{part}.heads"), &linear, &[TOKENS, HEADS, WIDTH / HEADS]);
            self.graph.op(part, "Transpose", &[&format!("{part}.heads")], &[("perm", Value::Ints(&order))]);
        }
        self.graph.op("scores", "MatMul", &["q", "k"], &[]);
        let root = self.graph.floats("scores.root", &[], &[((WIDTH / HEADS) as f32).sqrt()]);
        self.graph.op("scaled", "Div", &["scores", &root], &[]);
        self.graph.op("weighted", "Softmax", &["scaled"], &[("axis", Value::Int(-1))]);
        self.graph.op("mixed", "MatMul", &["weighted", "v"], &[]);
        self.graph.op("mixed.tokens", "Transpose", &["mixed"], &[("perm", Value::Ints(&[0, 2, 1, 3]))]);
        self.reshape("joined", "mixed.tokens", &[TOKENS, WIDTH]);
        self.graph.linear("out", "joined", WIDTH, WIDTH);
        self.graph.op("attended", "Add", &["tokens", "out"], &[]);
    }

    fn perceptron(&mut self) {
        self.graph.layer_norm("mlp.norm", "attended", WIDTH);
        let up = self.graph.linear("mlp.up", "mlp.norm", WIDTH, 2 * WIDTH);
        let gelu = self.graph.gelu("mlp.gelu", &up);
        let down = self.graph.linear("mlp.down", &gelu, 2 * WIDTH, WIDTH);
        self.graph.op("block", "Add", &["attended", &down], &[]);
    }
}
