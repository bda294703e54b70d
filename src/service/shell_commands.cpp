// A set's restores as one script for a POSIX shell, cut into the pieces that the artifacts' records
// hold. Each function has a comment, as operators read the script.
#include <algorithm>

#include "bba/base/text.hpp"
#include "bba/service/restore_steps.hpp"

namespace bba::service {

namespace {

constexpr const char* place_of =
    R"(# Where this host has a path of the container: in its innermost mount; nothing where it is on none.
place_of() {
  docker inspect --format '{{range .Mounts}}{{println .Destination}}{{println .Source}}{{end}}' "$TARGET" | {
    found='' length=0
    while IFS= read -r to && IFS= read -r from; do
      case $1/ in "$to"/*) [ ${#to} -lt $length ] || { length=${#to}; found=$from${1#"$to"}; } ;; esac
    done
    [ -z "$found" ] || realpath "$found"
  }
})";

constexpr const char* users_of =
    R"(# The running containers that have a directory mounted, or what lies in it, or can write above it.
users_of() {
  [ -n "$1" ] || return 0
  for id in $(docker ps --quiet --no-trunc); do
    docker inspect --format '{{range .Mounts}}{{.RW}} {{println .Source}}{{end}}' "$id" |
      while read -r rw from; do
        [ -n "$from" ] || continue
        from=$(realpath -m "$from")
        case $from/ in "$1"/*) echo "$id"; break ;; esac
        case "$rw $1/" in "true $from"/*) echo "$id"; break ;; esac
      done
  done
})";

constexpr const char* as_replacement = R"(# A name as what sed puts in place of another.
as_replacement() { printf %s "$1" | sed 's/[\\\/&]/\\&/g'; })";

constexpr const char* same_as =
    R"(# The tar on stdin against what lies in $1 now, renamed by $2, without the mountpoints that follow. The
# engine sets times before 1970 to 1970.
same_as() {
  place=$1 names=$2; shift 2
  ! tar --compare --numeric-owner --file - --directory "${place%/*}/" --transform "$names" "$@" 2>&1 |
    grep -v -e ': Mod time differs$' -e '^tar: Ignoring unknown extended header keyword' >&2
})";

// What is stopped is started whatever happens, but never on a directory that is not whole.
constexpr const char* on_exit =
    R"(# However this ends: where it failed, what was there is put back; what was stopped is started.
stopped='' restored=''
on_exit() {
  status=$?
  trap - EXIT
  if [ -z "$restored" ]; then
    echo 'not restored: putting back what was there' >&2
    undo || { echo "it could not be put back, look for *.bba-before-$STAMP; not started: $stopped" >&2; exit 1; }
    [ $status -ne 0 ] || status=1
  fi
  [ -z "$stopped" ] || docker start $stopped >/dev/null || status=1
  exit $status
}
trap on_exit EXIT
trap 'exit 1' HUP INT TERM)";

std::string check_sum(const store::ArtifactRecord& record) {
  return fmt::format("printf '%s  %s\\n' {} {} | sha256sum --check --quiet", record.sha256,
                     quoted(record.file));
}

void add(std::vector<std::string>& to, const std::vector<std::string>& lines) {
  to.insert(to.end(), lines.begin(), lines.end());
}

}  // namespace

std::vector<std::vector<std::string>> shell_commands(
    const std::string& container, const std::vector<store::ArtifactRecord>& records,
    const std::vector<Restore>& restores) {
  std::vector<ShellScript> scripts(restores.size());
  std::vector<std::string> undo, finish, places, conditions;
  for (std::size_t i = 0; i < restores.size(); ++i) {
    for (const auto& step : restores[i].steps) step->print(scripts[i], records[i], i + 1);
    add(conditions, scripts[i].conditions);
    add(undo, scripts[i].undo);
    add(finish, scripts[i].finish);
    add(places, scripts[i].places);
  }

  std::vector<std::string> begin{"set -eu; export LC_ALL=C",
                                 "TARGET=${TARGET:-" + quoted(container) + "}",
                                 "STAMP=$(date +%Y%m%dT%H%M%S); export STAMP"};
  for (const store::ArtifactRecord& record : records) begin.push_back(check_sum(record));
  if (!places.empty()) {
    add(begin, {place_of, users_of, as_replacement, same_as});
  }
  add(begin, conditions);
  if (!undo.empty()) {
    std::vector<std::string> names;
    for (const std::string& one : undo) {
      names.push_back(fmt::format("undo_{}", names.size() + 1));
      begin.push_back(names.back() + "() {\n" + one + "\n}");
    }
    // What was done last is undone first.
    std::reverse(names.begin(), names.end());
    begin.push_back("undo() { " + join(names, " && ") + "; }");
    begin.emplace_back(on_exit);
  }
  if (!places.empty()) {
    std::string users = "{ ";
    for (const std::string& place : places) users += "users_of " + place + "; ";
    begin.push_back("stopped=$(" + users +
                    "docker inspect --format '{{.Id}}' \"$TARGET\"; } | sort -u)");
    begin.emplace_back("docker stop $stopped >/dev/null");
  }
  std::vector<std::string> end;
  if (!undo.empty()) end.emplace_back("restored=yes");
  add(end, finish);

  std::vector<std::vector<std::string>> commands;
  for (std::size_t i = 0; i < scripts.size(); ++i) {
    commands.emplace_back();
    if (i == 0) add(commands.back(), begin);
    add(commands.back(), scripts[i].lines);
    if (i + 1 == scripts.size()) add(commands.back(), end);
  }
  return commands;
}

}  // namespace bba::service
