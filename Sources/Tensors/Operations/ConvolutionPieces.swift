/// How a convolution is cut among threads: into runs of tiles of 32 pixels, and into groups of panels of output channels.
package struct ConvolutionPieces {
  package typealias Piece = (tiles: Range<Int>, panels: Range<Int>)

  /// Tiles of a run: each weight is used for 1024 pixels, and the copy of their input that some convolutions need stays small.
  package static let longestRun = 32
  /// What packing a tile's columns takes, in panels that it could be multiplied with meanwhile.
  private static let packingCost = 2

  private let tiles: Int, panels: Int, threads: Int
  /// Where there are many tiles, every thread gets as many runs and tiles as the others, and what does not divide is left.
  private let evenTiles: Int, runsOfThread: Int
  /// The tiles that are left, or all where there are few, are cut into so many runs and each run into so many groups.
  private let runs: Int, groups: Int

  package init(tiles: Int, panels: Int, threads: Int) {
    (self.tiles, self.panels, self.threads) = (tiles, panels, threads)
    evenTiles = tiles >= 8 * threads ? tiles / threads * threads : 0
    runsOfThread = (evenTiles / threads + Self.longestRun - 1) / Self.longestRun
    let others = tiles - evenTiles
    func groups(_ runs: Int) -> Int { max(1, min(panels, threads / runs)) }
    func time(_ runs: Int) -> Int {
      (others + runs - 1) / runs * ((panels + groups(runs) - 1) / groups(runs) + Self.packingCost)
    }
    let fewest = max(1, (others + Self.longestRun - 1) / Self.longestRun)
    runs = others == 0 ? 0 : (fewest...max(fewest, min(others, threads))).min { time($0) < time($1) } ?? fewest
    self.groups = others == 0 ? 0 : groups(runs)
  }

  /// Pieces of each thread, where there are many tiles.
  private var piecesOfThread: Int { runsOfThread + (runs > 0 ? 1 : 0) }

  package var count: Int { evenTiles > 0 ? threads * piecesOfThread : runs * groups }

  /// A thread's pieces follow each other: its runs, then one of what is left, which may be empty.
  package subscript(_ index: Int) -> Piece {
    guard evenTiles > 0 else { return other(index) }
    let (thread, piece) = index.quotientAndRemainder(dividingBy: piecesOfThread)
    if piece < runsOfThread {
      return (part(thread * runsOfThread + piece, of: threads * runsOfThread, 0..<evenTiles), 0..<panels)
    }
    return thread < runs * groups ? other(thread) : (0..<0, 0..<0)
  }

  private func other(_ index: Int) -> Piece {
    let (run, group) = index.quotientAndRemainder(dividingBy: groups)
    return (part(run, of: runs, evenTiles..<tiles), part(group, of: groups, 0..<panels))
  }

  private func part(_ index: Int, of count: Int, _ range: Range<Int>) -> Range<Int> {
    range.lowerBound + index * range.count / count..<range.lowerBound + (index + 1) * range.count / count
  }
}
