# A manual page from a tool's --help, whose layout the argument parser fixes: sections with a heading in capitals, and in them
# entries of two spaces, the option, and its explanation behind it or on lines that follow. No line is broken where COLUMNS is large.
#   COLUMNS=2000 tool --help | awk -v tool=NAME -v version=TEXT -f manual.awk

function escaped(text) {
  gsub(/\\/, "\\e", text)
  gsub(/-/, "\\-", text)
  if (text ~ /^[.']/) text = "\\&" text
  return text
}

BEGIN {
  printf ".TH \"%s\" 1 \"\" \"%s\" \"swift-covpool\"\n.nh\n", toupper(tool), version
}

/^OVERVIEW: / {
  sub(/^OVERVIEW: /, "")
  printf ".SH NAME\n%s \\- %s\n.SH DESCRIPTION\n", escaped(tool), escaped($0)
  inDescription = 1
  next
}

/^USAGE: / {
  sub(/^USAGE: /, "")
  printf ".SH SYNOPSIS\n%s\n", escaped($0)
  inDescription = 0
  next
}

/^[A-Z]+:$/ {
  sub(/:$/, "")
  printf ".SH %s\n", $0
  next
}

/^$/ { if (inDescription) print ".PP"; next }

# An example stands as it is.
inDescription && /^  / { printf ".nf\n%s\n.fi\n", escaped($0); next }
inDescription { print escaped($0); next }

# An option or argument, with the beginning of its explanation if it is short.
/^  [^ ]/ {
  sub(/^  /, "")
  split_at = match($0, /   */)
  term = split_at ? substr($0, 1, split_at - 1) : $0
  rest = split_at ? substr($0, split_at + RLENGTH) : ""
  printf ".TP\n\\fB%s\\fR\n", escaped(term)
  if (rest != "") print escaped(rest)
  next
}

/^ / {
  sub(/^ +/, "")
  print escaped($0)
}
