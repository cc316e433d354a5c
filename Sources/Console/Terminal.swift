import Foundation

/// The terminal on standard error, where there is one.
enum Terminal {
  static let isPresent = isatty(STDERR_FILENO) != 0

  /// Its width now, which changes with its window; `nil` where there is no terminal.
  static var columns: Int? {
    guard isPresent else { return nil }
    var size = winsize()
    guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
    return Int(size.ws_col)
  }
}
