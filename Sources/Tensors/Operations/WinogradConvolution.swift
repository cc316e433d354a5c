import Kernels

/// Input and output channels up to which a thread's run of 32 tiles with all weights, 3 MB at 128 and 128, comes quickly
/// enough from its second-level cache and the third.
private let channelsOfRunsApart = 256

/// What threads that work on one run together hold of it in their second-level caches, of 1 to 2 MB each.
private let bytesOfRun = 3 << 20
private let bytesOfRunApart = 512 << 10

/// With few channels each thread takes runs of tiles from input to output, so that nothing passes between caches; with
/// many, where the weights are what fills them, threads share the phases of one run of tiles after another.
func convolveByWinograd(_ job: covpool_convolution) {
  if job.window.channels + job.out_channels <= channelsOfRunsApart {
    convolveRunsApart(job)
  } else {
    convolveRunsTogether(job)
  }
}

private func convolveRunsApart(_ job: covpool_convolution) {
  var window = job.window
  let tiles = job.batch * covpool_winograd_tiles(&window)
  let panels = (job.out_channels + panelSize - 1) / panelSize
  let inputsSize = covpool_winograd_inputs_size(&window, tileSize)
  WorkerPool.shared.forEach((tiles + tileSize - 1) / tileSize) { piece in
    let first = piece * tileSize
    let count = min(tileSize, tiles - first)
    withScratch(of: Float.self, inputsSize + covpool_winograd_sums_size(job.out_channels, tileSize)) { inputs in
      let sums = inputs + inputsSize
      withUnsafePointer(to: job) { job in
        covpool_winograd_inputs(job, first, count, 0, job.pointee.window.channels, inputs)
        for point in 0..<Int(COVPOOL_WINOGRAD_POINTS) {
          covpool_winograd_multiply(job, first, count, point, 0, panels, inputs, sums)
        }
        covpool_winograd_outputs(job, first, count, 0, job.pointee.out_channels, sums)
      }
    }
  }
}

private func convolveRunsTogether(_ job: covpool_convolution) {
  let pool = WorkerPool.shared
  let (channels, outputs) = (job.window.channels, job.out_channels)
  let panels = (outputs + panelSize - 1) / panelSize
  var window = job.window
  let tiles = job.batch * covpool_winograd_tiles(&window)
  // Transformed inputs and sums of a run stay in the second-level caches, unless the weights, which every run reads, are
  // larger than that.
  let bytesPerTile = 4 * Int(COVPOOL_WINOGRAD_POINTS) * (channels + panels * panelSize)
  let budget = max(bytesOfRun, 4 * Int(COVPOOL_WINOGRAD_POINTS) * channels * outputs)
  let length = min(tiles, max(tileSize, budget / bytesPerTile / tileSize * tileSize))
  let inputsSize = covpool_winograd_inputs_size(&window, length)
  // Without other threads, one piece of each phase; otherwise enough that none waits long.
  let shares = pool.width == 1 ? 1 : 2 * pool.width
  func share(_ index: Int, of count: Int, _ total: Int) -> Range<Int> {
    index * total / count..<(index + 1) * total / count
  }
  withScratch(of: Float.self, inputsSize + covpool_winograd_sums_size(outputs, length)) { inputs in
    let sums = inputs + inputsSize
    for first in stride(from: 0, to: tiles, by: length) {
      let count = min(length, tiles - first)
      withUnsafePointer(to: job) { job in
        let inputShares = min(shares, channels), outputShares = min(shares, outputs)
        pool.forEach(inputShares) { index in
          let range = share(index, of: inputShares, channels)
          covpool_winograd_inputs(job, first, count, range.lowerBound, range.upperBound, inputs)
        }
        pool.forEach(Int(COVPOOL_WINOGRAD_POINTS)) { point in
          covpool_winograd_multiply(job, first, count, point, 0, panels, inputs, sums)
        }
        pool.forEach(outputShares) { index in
          let range = share(index, of: outputShares, outputs)
          covpool_winograd_outputs(job, first, count, range.lowerBound, range.upperBound, sums)
        }
      }
    }
  }
}

/// Input and output channels up to which the sums of a weight's gradient, 0.6 MB at 64 and 64, fit into a core's
/// second-level cache beside a run of tiles.
private let channelsOfSumsApart = 128

/// ∂W of a 3×3 convolution by Winograd's method, turned round.
///
/// With few channels each thread sums over images of its own, and the sums are added in order: the result is the same
/// bits for the same number of threads. With many, threads share the phases of one run of tiles after another.
func weightGradientByWinograd<Scalar: RealScalar>(
  _ kernels: PackedKernels<Scalar>, _ job: covpool_convolution, _ gradient: UnsafePointer<Scalar>,
  into result: UnsafeMutablePointer<Scalar>
) {
  var window = job.window
  let (batch, outputs, pool) = (job.batch, job.out_channels, WorkerPool.shared)
  let areApart = window.channels + outputs <= channelsOfSumsApart
  let parts = areApart ? max(1, min(pool.width, batch)) : 1
  let tiles = covpool_winograd_tiles(&window)
  let size = covpool_winograd_gradient_sums_size(&window, outputs)
  withScratch(of: Scalar.self, parts * size) { sums in
    pool.forEach(parts) { part in
      let images = part * batch / parts..<(part + 1) * batch / parts
      sumProducts(
        kernels, job, gradient, tiles: images.lowerBound * tiles..<images.upperBound * tiles,
        bytesOfRun: areApart ? bytesOfRunApart : bytesOfRun, into: sums + part * size)
    }
    for part in 1..<parts {
      forEachChunk(of: size) {
        accumulate(sums + part * size + $0.lowerBound, into: sums + $0.lowerBound, count: $0.count)
      }
    }
    let block = Int(COVPOOL_WINOGRAD_BLOCK)
    pool.forEach((outputs + block - 1) / block) { index in
      withUnsafePointer(to: job) {
        kernels.winogradWeightGradient($0, sums, index * block, min((index + 1) * block, outputs), result)
      }
    }
  }
}

/// The sums over `tiles` that a weight's gradient is made of: in each run channels are shared out, then the 36 products.
private func sumProducts<Scalar: RealScalar>(
  _ kernels: PackedKernels<Scalar>, _ job: covpool_convolution, _ gradient: UnsafePointer<Scalar>, tiles: Range<Int>,
  bytesOfRun: Int, into sums: UnsafeMutablePointer<Scalar>
) {
  var window = job.window
  let (channels, outputs, pool) = (job.window.channels, job.out_channels, WorkerPool.shared)
  let points = Int(COVPOOL_WINOGRAD_POINTS), block = Int(COVPOOL_WINOGRAD_BLOCK)
  // A run stays in the second-level caches, or is long where every run reads and writes larger sums.
  let budget = max(bytesOfRun, 8 * points * channels * outputs)
  let length = max(block, min(tiles.count, budget / (4 * points * (channels + outputs)) / block * block))
  let columnsSize = covpool_winograd_columns_size(&window, length)
  let columnBlocks = (channels + block - 1) / block, rowBlocks = (outputs + block - 1) / block
  withScratch(of: Scalar.self, columnsSize + covpool_winograd_rows_size(outputs, length)) { columns in
    let rows = columns + columnsSize
    withUnsafePointer(to: job) { job in
      for first in stride(from: tiles.lowerBound, to: tiles.upperBound, by: length) {
        let count = min(length, tiles.upperBound - first)
        pool.forEach(columnBlocks + rowBlocks) { index in
          if index < columnBlocks {
            kernels.winogradColumns(job, first, count, index, columns)
          } else {
            kernels.winogradRows(job, gradient, first, count, index - columnBlocks, rows)
          }
        }
        let isFirst = first == tiles.lowerBound
        pool.forEach(points) { kernels.winogradSum(job, count, $0, isFirst ? 0 : 1, columns, rows, sums) }
      }
    }
  }
}
