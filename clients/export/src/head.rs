//! The file of a head, as `ExportHead` gives it.

use std::collections::HashMap;

use safetensors::{Dtype, SafeTensors};

use crate::GraftError;

/// A head.
#[derive(Clone, Debug)]
pub struct HeadFile {
    /// NAME@VERSION.
    pub name: String,
    /// The embedding space that it classifies, NAME@HASH.
    pub space: String,
    /// Its labels, in the order of the logits.
    pub labels: Vec<String>,
    /// Numbers in an embedding.
    pub dimension: usize,
    /// How its logits come about.
    pub kind: Kind,
}

/// The kinds of heads.
#[derive(Clone, Debug)]
pub enum Kind {
    /// `x·W + b`, of which one class is right.
    Linear(Linear),
    /// `x·W + b`, each label on its own.
    Sigmoid {
        /// The logits.
        linear: Linear,
        /// `[labels]`: the probability from which on a label is given.
        thresholds: Vec<f32>,
    },
    /// The angle to the mean of each class.
    Prototype {
        /// Where angles are measured.
        centre: Centre,
        /// `[classes, dimension]`, each of length 1.
        means: Matrix,
        /// What a cosine is worth as a logit.
        sharpness: f32,
    },
    /// The classes of the nearest examples.
    Neighbours(Neighbours),
    /// One hidden layer.
    Perceptron {
        /// From embeddings to hidden numbers.
        hidden: Linear,
        /// From those that are above 0 to logits.
        output: Linear,
    },
}

/// Numbers row by row.
#[derive(Clone, Debug)]
pub struct Matrix {
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
    /// `[rows, columns]`.
    pub numbers: Vec<f32>,
}

/// `x·W + b`.
#[derive(Clone, Debug)]
pub struct Linear {
    /// `[dimension, labels]`.
    pub weight: Matrix,
    /// `[labels]`.
    pub bias: Vec<f32>,
}

/// `(x - mean) * scale`, `[dimension]` each.
#[derive(Clone, Debug)]
pub struct Centre {
    /// Subtracted.
    pub mean: Vec<f32>,
    /// Multiplied by.
    pub scale: Vec<f32>,
}

/// The nearest examples vote.
#[derive(Clone, Debug)]
pub struct Neighbours {
    /// Where angles are measured.
    pub centre: Centre,
    /// `[examples, dimension]`, each of length 1.
    pub examples: Matrix,
    /// The class of each example.
    pub owners: Vec<i64>,
    /// How many classes there are.
    pub classes: usize,
    /// How many examples vote.
    pub nearest: usize,
    /// What a logarithm is worth as a logit.
    pub factor: f32,
}

impl Matrix {
    /// Columns as rows.
    pub(crate) fn transposed(&self) -> Matrix {
        let Matrix { rows, columns, numbers } = self;
        let turned = (0..*columns).flat_map(|column| (0..*rows).map(move |row| numbers[row * columns + column]));
        Matrix { rows: *columns, columns: *rows, numbers: turned.collect() }
    }
}

impl HeadFile {
    /// Read a file.
    ///
    /// # Errors
    /// [`GraftError::Head`] says what is wrong with it.
    pub fn read(bytes: &[u8]) -> Result<HeadFile, GraftError> {
        let wrong = |error: safetensors::SafeTensorError| GraftError::Head(error.to_string());
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(wrong)?;
        let notes = metadata.metadata().clone().unwrap_or_default();
        let tensors = Tensors { file: SafeTensors::deserialize(bytes).map_err(wrong)?, notes: &notes };
        let labels = serde_json::from_str::<Vec<String>>(tensors.note("labels")?)
            .map_err(|error| GraftError::Head(format!("its labels: {error}")))?;
        let kind = tensors.kind(labels.len())?;
        let dimension = kind.dimension();
        let name = format!("{}@{}", tensors.note("name")?, tensors.note("version")?);
        Ok(HeadFile { name, space: tensors.note("space")?.to_owned(), labels, dimension, kind })
    }
}

impl Kind {
    fn dimension(&self) -> usize {
        match self {
            Kind::Linear(linear) | Kind::Sigmoid { linear, .. } | Kind::Perceptron { hidden: linear, .. } => {
                linear.weight.rows
            }
            Kind::Prototype { means, .. } => means.columns,
            Kind::Neighbours(neighbours) => neighbours.examples.columns,
        }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Linear(_) => "linear",
            Kind::Sigmoid { .. } => "sigmoid",
            Kind::Prototype { .. } => "prototype",
            Kind::Neighbours(_) => "knn",
            Kind::Perceptron { .. } => "mlp",
        }
    }
}

/// A file that is being read.
struct Tensors<'a> {
    file: SafeTensors<'a>,
    notes: &'a HashMap<String, String>,
}

impl Tensors<'_> {
    fn kind(&self, labels: usize) -> Result<Kind, GraftError> {
        match self.notes.get("kind").map(String::as_str) {
            None => Ok(Kind::Linear(self.linear("weight", "bias", labels)?)),
            Some("sigmoid") => {
                let linear = self.linear("weight", "bias", labels)?;
                Ok(Kind::Sigmoid { linear, thresholds: self.vector("threshold", labels)? })
            }
            Some("prototype") => {
                let means = self.matrix("means")?;
                if means.rows != labels {
                    return Err(GraftError::Head(format!("{} class means for {labels} labels", means.rows)));
                }
                let sharpness = self.vector("sharpness", 1)?[0];
                Ok(Kind::Prototype { centre: self.centre(means.columns)?, means, sharpness })
            }
            Some("knn") => Ok(Kind::Neighbours(self.neighbours(labels)?)),
            Some("mlp") => {
                let output = self.linear("weight", "bias", labels)?;
                let hidden = self.linear("hidden.weight", "hidden.bias", output.weight.rows)?;
                Ok(Kind::Perceptron { hidden, output })
            }
            Some(other) => {
                Err(GraftError::Head(format!("it is of the kind `{other}`, which this version does not know")))
            }
        }
    }

    fn neighbours(&self, labels: usize) -> Result<Neighbours, GraftError> {
        let examples = self.matrix("examples")?;
        let owners = self.vector("owners", examples.rows)?;
        if let Some(owner) = owners.iter().find(|owner| !(**owner >= 0.0 && **owner < labels as f32)) {
            return Err(GraftError::Head(format!("an example of class {owner}; there are {labels}")));
        }
        let nearest: usize = self.note("nearest")?.parse().unwrap_or_default();
        if nearest == 0 {
            return Err(GraftError::Head("no example votes".into()));
        }
        Ok(Neighbours {
            centre: self.centre(examples.columns)?,
            owners: owners.into_iter().map(|owner| owner as i64).collect(),
            classes: labels,
            nearest: nearest.min(examples.rows),
            factor: self.vector("factor", 1)?[0],
            examples,
        })
    }

    fn centre(&self, dimension: usize) -> Result<Centre, GraftError> {
        Ok(Centre { mean: self.vector("mean", dimension)?, scale: self.vector("scale", dimension)? })
    }

    fn linear(&self, weight: &str, bias: &str, outputs: usize) -> Result<Linear, GraftError> {
        let weight = self.matrix(weight)?;
        if weight.columns != outputs {
            return Err(GraftError::Head(format!("{} columns of weights for {outputs} outputs", weight.columns)));
        }
        Ok(Linear { weight, bias: self.vector(bias, outputs)? })
    }

    fn matrix(&self, name: &str) -> Result<Matrix, GraftError> {
        match self.tensor(name)? {
            (shape, numbers) if shape.len() == 2 && !numbers.is_empty() => {
                Ok(Matrix { rows: shape[0], columns: shape[1], numbers })
            }
            (shape, _) => Err(GraftError::Head(format!("`{name}` is {shape:?}; two dimensions are expected"))),
        }
    }

    fn vector(&self, name: &str, length: usize) -> Result<Vec<f32>, GraftError> {
        match self.tensor(name)? {
            (shape, numbers) if shape == [length] => Ok(numbers),
            (shape, _) => Err(GraftError::Head(format!("`{name}` is {shape:?}; [{length}] is expected"))),
        }
    }

    fn tensor(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>), GraftError> {
        let tensor = self.file.tensor(name).map_err(|error| GraftError::Head(error.to_string()))?;
        if tensor.dtype() != Dtype::F32 {
            return Err(GraftError::Head(format!("`{name}` is of {:?}; F32 is expected", tensor.dtype())));
        }
        let numbers = tensor.data().as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect();
        Ok((tensor.shape().to_vec(), numbers))
    }

    fn note(&self, name: &str) -> Result<&str, GraftError> {
        let missing = || GraftError::Head(format!("its metadata has no `{name}`; a file of ExportHead is expected"));
        self.notes.get(name).map(String::as_str).ok_or_else(missing)
    }
}
