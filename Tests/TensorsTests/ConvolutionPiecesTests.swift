import Tensors
import Testing

@Suite struct ConvolutionPiecesTests {
  private static let threads = [1, 2, 3, 4, 7, 8, 12, 16, 24, 28, 64]

  @Test(arguments: threads)
  func `Every panel of every tile is in one piece`(_ threads: Int) {
    for tiles in [0, 1, 2, 3, 7, 15, 16, 25, 49, 98, 196, 511, 1568] {
      for panels in [1, 2, 3, 8, 16, 33, 128] {
        let pieces = ConvolutionPieces(tiles: tiles, panels: panels, threads: threads)
        var counts = [Int](repeating: 0, count: tiles * panels)
        for index in 0..<pieces.count {
          let piece = pieces[index]
          for tile in piece.tiles {
            for panel in piece.panels { counts[tile * panels + panel] += 1 }
          }
        }
        let isCovered = counts.allSatisfy { $0 == 1 }
        #expect(isCovered, "\(tiles) tiles, \(panels) panels")
      }
    }
  }

  /// Convolutions of ResNets at batch sizes of 1 and 8: tiles and panels.
  @Test(
    arguments: threads,
    [(25, 16), (25, 64), (25, 128), (98, 32), (49, 32), (196, 16), (196, 64), (392, 8), (784, 32), (3136, 8)])
  func `Threads share the work, in runs that are not long`(_ threads: Int, _ shape: (tiles: Int, panels: Int)) {
    let pieces = ConvolutionPieces(tiles: shape.tiles, panels: shape.panels, threads: threads)
    // As the pool shares out indices before anyone helps the others.
    let loads = (0..<threads).map { thread in
      (thread * pieces.count / threads..<(thread + 1) * pieces.count / threads).reduce(0) { sum, index in
        sum + pieces[index].tiles.count * pieces[index].panels.count
      }
    }
    let ideal = Double(shape.tiles * shape.panels) / Double(threads)
    #expect(Double(loads.max() ?? 0) <= max(1.5 * ideal, 1))
    let longest = (0..<pieces.count).map { pieces[$0].tiles.count }.max() ?? 0
    #expect(longest <= ConvolutionPieces.longestRun)
  }
}
