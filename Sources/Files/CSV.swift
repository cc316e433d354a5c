/// A field of a CSV file, quoted where RFC 4180 asks for it, which goes by code points: a comma that a combining mark
/// follows is a comma.
///
/// The file is UTF-8: a name's bytes that are not stand in it as `\xE9`.
package func csvField(_ text: String) -> String {
  let shown = text.withBytesShown
  let needsQuotes = shown.unicodeScalars.contains { ",\"\n\r".unicodeScalars.contains($0) || isLineEnd($0) }
  guard needsQuotes else { return shown }
  var quoted = "\""
  for scalar in shown.unicodeScalars {
    if scalar == "\"" { quoted.unicodeScalars.append("\"") }
    quoted.unicodeScalars.append(scalar)
  }
  quoted.unicodeScalars.append("\"")
  return quoted
}

/// What some readers take for the end of a line.
private func isLineEnd(_ scalar: Unicode.Scalar) -> Bool {
  scalar == "\u{0B}" || scalar == "\u{0C}" || scalar == "\u{85}" || scalar == "\u{2028}" || scalar == "\u{2029}"
}
