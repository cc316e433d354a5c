/// A precondition whose message is printed in optimised builds too, where Swift's own says nothing.
package func check(
  _ condition: Bool, _ message: @autoclosure () -> String, file: StaticString = #file, line: UInt = #line
) {
  if !condition { fatalError(message(), file: file, line: line) }
}
