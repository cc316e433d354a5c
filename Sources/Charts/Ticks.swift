import Foundation

/// A labelled place on an axis.
package struct Tick: Equatable, Sendable {
  package var value: Double
  package var label: String
}

/// Multiples of 1, 2 or 5 times a power of ten within a range, at most `count` of them and not many fewer.
///
/// Between whole numbers, epochs for example, there are no ticks.
package func linearTicks(_ range: ClosedRange<Double>, atMost count: Int, isWhole: Bool = false) -> [Tick] {
  let (low, high) = (range.lowerBound, range.upperBound)
  let exponent = Int(log10((high - low) / Double(count)).rounded(.down))
  for (factor, exponent) in [(1, exponent), (2, exponent), (5, exponent), (1, exponent + 1), (2, exponent + 1)] {
    let step = Double(factor) * pow(10, Double(exponent))
    if isWhole && step < 1 { continue }
    // A limit that rounding put just beside a multiple has its tick.
    let (first, last) = ((low / step - 1e-9).rounded(.up), (high / step + 1e-9).rounded(.down))
    if Int(last - first) >= count { continue }
    return labelled(stride(from: first, through: last, by: 1).map { $0 * Double(factor) }, exponent: exponent)
  }
  return []
}

/// Ticks at multiples of a power of ten, with as many digits as tell them apart.
private func labelled(_ multiples: [Double], exponent: Int) -> [Tick] {
  // 3 / 10 is the nearest number to 0.3, which 3 · 0.1 is not.
  let values = multiples.map { exponent < 0 ? $0 / pow(10, Double(-exponent)) : $0 * pow(10, Double(exponent)) }
  let largest = values.map(abs).max() ?? 0
  let power = largest > 0 && !(1e-3..<1e6).contains(largest) ? Int(log10(largest).rounded(.down)) : 0
  return zip(multiples, values).map { multiple, value in
    if value == 0 && power != 0 { return Tick(value: 0, label: "0") }
    let mantissa = decimal(multiple * pow(10, Double(exponent - power)), places: max(power - exponent, 0))
    return Tick(value: value, label: power == 0 ? mantissa : "\(mantissa)×10\(superscript(power))")
  }
}

/// Ticks of a logarithmic axis: decades; if it spans fewer than three 1, 2 and 5 of each, or else round numbers.
package func logarithmicTicks(_ range: ClosedRange<Double>, atMost count: Int) -> [Tick] {
  // Limits that rounding put just beside a decade have its tick.
  let (first, last) = (
    Int((log10(range.lowerBound) - 1e-9).rounded(.up)), Int((log10(range.upperBound) + 1e-9).rounded(.down))
  )
  let every = max(1, (last - first + count) / count)
  let decades = (first...max(first, last)).filter { $0 <= last && $0 % every == 0 }
  let isPlain = first >= -2 && last <= 4
  let decadeTicks = decades.map { exponent in
    Tick(value: pow(10, Double(exponent)), label: isPlain ? label(of: pow(10, Double(exponent))) : power(exponent))
  }
  if decades.count >= 3 { return decadeTicks }
  let fine = ((first - 1)...max(first, last)).flatMap { exponent in [1, 2, 5].map { $0 * pow(10, Double(exponent)) } }
    .filter { range.contains($0) }
  if (3...max(count, 3)).contains(fine.count) { return fine.map { Tick(value: $0, label: label(of: $0)) } }
  return decades.count == 2 ? decadeTicks : linearTicks(range, atMost: count)
}

/// A positive number by itself, in up to four digits if it is not a whole one.
package func label(of value: Double) -> String {
  if value == value.rounded() && value < 1e7 { return decimal(value, places: 0) }
  // Rounds before it decides on the power: 9.9999e-5 is 10⁻⁴.
  let parts = String(format: "%.3e", value).split(separator: "e")
  let (mantissa, exponent) = (String(format: "%g", Double(parts[0]) ?? 0), Int(parts[1]) ?? 0)
  if (-3..<4).contains(exponent) { return String(format: "%.4g", value) }
  if (4..<7).contains(exponent) { return decimal(value, places: 0) }
  return mantissa == "1" ? power(exponent) : "\(mantissa)×10\(superscript(exponent))"
}

/// 10⁻¹, 1, 10, 10².
private func power(_ exponent: Int) -> String {
  switch exponent {
  case 0: "1"
  case 1: "10"
  default: "10" + superscript(exponent)
  }
}

private func superscript(_ number: Int) -> String {
  let digits = Array("⁰¹²³⁴⁵⁶⁷⁸⁹")
  return (number < 0 ? "⁻" : "") + String(String(abs(number)).compactMap(\.wholeNumberValue).map { digits[$0] })
}

/// With a minus sign rather than a hyphen.
private func decimal(_ value: Double, places: Int) -> String {
  (value < 0 ? "−" : "") + String(format: "%.\(places)f", abs(value))
}
