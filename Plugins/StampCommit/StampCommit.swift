import Foundation
import PackagePlugin

/// Makes a source file with the commit that a build is of, for `--version`. It is written anew only where the commit has
/// changed, so that nothing is compiled twice.
@main
struct StampCommit: BuildToolPlugin {
  func createBuildCommands(context: PluginContext, target: Target) -> [Command] {
    let script = """
      commit=$(git --no-optional-locks -C "$1" describe --always --dirty --abbrev=12 --exclude '*' 2>/dev/null) ||
        commit=unknown
      line="let builtCommit = \\"$commit\\""
      mkdir -p "$2" && { echo "$line" | cmp -s - "$2/Commit.swift" || echo "$line" > "$2/Commit.swift"; }
      """
    let output = context.pluginWorkDirectoryURL.appending(path: "Commit")
    return [
      .prebuildCommand(
        displayName: "Looking up the commit", executable: URL(filePath: "/bin/sh"),
        arguments: ["-c", script, "sh", context.package.directoryURL.path, output.path], outputFilesDirectory: output)
    ]
  }
}
