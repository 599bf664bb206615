//! The two passes of a resize, in Pillow's order.

use super::axis::Axis;

/// Lines of pixels in memory, the first byte being the first that is needed.
#[derive(Clone, Copy)]
pub(super) struct Lines<'a> {
    pub data: &'a [u8],
    /// Bytes from one line to the next.
    pub stride: usize,
    /// Bytes of a line that are needed.
    pub length: usize,
    /// How many there are.
    pub count: usize,
}

/// One way to compute a pass. Both give the same bytes.
pub(super) trait Pass {
    /// Resize the columns of every line, pixels of `channels` channels; the lines begin with the first column that `columns`
    /// needs. Lines of the target are `stride` bytes apart, more than they have, and their number is a whole number of blocks.
    fn columns(&self, source: Lines<'_>, columns: &Axis, channels: usize, target: &mut [u8], stride: usize);

    /// Resize the rows: each line of the target is a weighted sum of lines of the source, which begin with the first row that
    /// `rows` needs. Lines of the target lie without a gap, with [`SPARE`] bytes after the last.
    fn rows(&self, source: Lines<'_>, rows: &Axis, target: &mut [u8]);
}

/// Bytes that a pass may write past the end of a line, and lines of its block past the last one.
pub(super) const SPARE: usize = 16;
/// See [`SPARE`].
pub(super) const BLOCK: usize = 4;

/// Memory that is used again for each image.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    /// What the first pass gives.
    between: Vec<u8>,
    /// What the columns give when they are the second pass, lines with gaps.
    loose: Vec<u8>,
    /// The crop.
    pub output: Vec<u8>,
}

/// What both passes need.
pub(super) struct Passes<'a> {
    /// `[rows, columns, channels]`.
    pub pixels: &'a [u8],
    pub channels: usize,
    pub columns: &'a Axis,
    pub rows: &'a Axis,
    pub buffers: &'a mut Buffers,
}

impl Passes<'_> {
    /// Run them.
    #[inline(always)]
    pub fn run(self, pass: &impl Pass) {
        let Passes { pixels, channels, columns, rows, buffers: Buffers { between, loose, output } } = self;
        let stride = columns.key.source as usize * channels;
        let source = Lines {
            data: &pixels[rows.from * stride + columns.from * channels..],
            stride,
            length: (columns.to - columns.from) * channels,
            count: rows.to - rows.from,
        };
        let (line, lines) = (columns.firsts.len() * channels, rows.firsts.len());
        let loose_stride = (line + 1).next_multiple_of(SPARE);
        output.resize(lines * line + SPARE, 0);
        if rows_first(columns, rows) {
            between.resize(lines * source.length + SPARE, 0);
            pass.rows(source, rows, between);
            loose.resize(lines.next_multiple_of(BLOCK) * loose_stride, 0);
            let source = Lines { data: between, stride: source.length, length: source.length, count: lines };
            pass.columns(source, columns, channels, loose, loose_stride);
            for (target, source) in output.chunks_exact_mut(line).zip(loose.chunks_exact(loose_stride)) {
                target.copy_from_slice(&source[..line]);
            }
        } else {
            between.resize(source.count.next_multiple_of(BLOCK) * loose_stride, 0);
            pass.columns(source, columns, channels, between, loose_stride);
            let source = Lines { data: between, stride: loose_stride, length: line, count: source.count };
            pass.rows(source, rows, output);
        }
        output.truncate(lines * line);
    }
}

/// Pillow 13 begins with the rows where that saves the most: where the height shrinks by more than twice as many pixels as the
/// width. Older ones always begin with the columns. In photos whose proportions are kept, that is where they are more than
/// twice as high as wide.
fn rows_first(columns: &Axis, rows: &Axis) -> bool {
    let shrinks_by = |axis: &Axis| i128::from(axis.key.source) - i128::from(axis.key.resized);
    let (width, height) = (shrinks_by(columns), shrinks_by(rows));
    // Where one axis stays as it is, its pass changes nothing and the order does not matter.
    height > 0 && height > 2 * width
}
