#include "load_rdb.hpp"

#include <algorithm>

#include "bba/base/text.hpp"
#include "server.hpp"

namespace bba::services::redis {

namespace {

bool has_append_only_file(const store::ArtifactRecord& record) {
  return size_member(record.found, "aof_files").value_or(0) > 0;
}

// The client that the backup asked with. Where it asked none, it is not known whether a password is
// needed.
wire::ExecConfig recorded_client(const Json& facts) {
  wire::ExecConfig client;
  const Json* words = member(facts, "cli");
  if (words == nullptr || !words->is_array() || words->empty()) {
    return {.argv = {"redis-cli"}, .env = {{"REDISCLI_AUTH", ""}}};
  }
  for (const Json& word : *words) {
    if (word.is_string()) client.argv.push_back(word.get<std::string>());
  }
  client.env = service::recorded_environment(facts, "environment");
  return client;
}

class LoadRdb : public service::RestoreStep {
 public:
  // `alone`: no other artifact of the set holds an append-only file.
  LoadRdb(wire::ExecConfig client, const store::ArtifactRecord& record, bool alone)
      : client_(std::move(client)),
        directory_(record.source),
        rdb_file_(string_member(record.found, "rdb_file").value_or("")),
        alone_(alone) {}

  void print(service::ShellScript& script, const store::ArtifactRecord&,
             std::size_t number) const override {
    if (!alone_) return;
    const auto asked = [&](const char* parameter) {
      return service::docker_exec(command(client_, {"CONFIG", "GET", parameter}), false);
    };
    script.conditions.push_back(fmt::format(
        R"(# With appendonly yes a server without an append-only file starts empty, whatever RDB it has: the RDB
# becomes that file. The server says whether it keeps one and under which name, unless APPENDFILE does.
if [ -z "${{APPENDFILE+set}}" ]; then
  not_asked() {{
    echo "$TARGET does not say whether it keeps an append-only file ($1). Set REDISCLI_AUTH where it wants a password. Where it cannot be asked, set APPENDFILE to its appendfilename, or to nothing where it has appendonly no." >&2
    exit 1
  }}
  docker start "$TARGET" >/dev/null || not_asked 'it does not start'
  tries=60
  until answer=$({} 2>/dev/null); do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || not_asked 'it does not answer'
    sleep 1
  done
  case $answer in
    appendonly?no) APPENDFILE='' ;;
    appendonly?yes)
      APPENDFILE=$({} | sed -n 2p)
      [ -n "$APPENDFILE" ] || not_asked 'the name of the file is missing' ;;
    *) not_asked "$answer" ;;
  esac
fi)",
        asked("appendonly"), asked("appendfilename")));
    const std::string rdb = service::quoted(rdb_file_);
    const std::string directory = service::quoted(directory_);
    // In a directory on no mount only the engine can put it.
    script.lines.push_back(fmt::format(
        "if [ -z \"$APPENDFILE\" ]; then :; elif [ -n \"$place_{0}\" ]; then cp -p \"$place_{0}\"/{1} "
        "\"$place_{0}/$APPENDFILE\"; else docker cp -a \"$TARGET\":{2}/{1} \".bba-$STAMP.rdb\" && docker "
        "cp -a \".bba-$STAMP.rdb\" \"$TARGET\":{2}/\"$APPENDFILE\" && rm \".bba-$STAMP.rdb\"; fi",
        number, rdb, directory));
  }

  // A server that keeps no such file does not look at it.
  void carry_out(service::RestoreTarget& target) const override {
    target.copy_file(directory_ + '/' + rdb_file_,
                     directory_ + '/' + append_file_name(target.live()));
  }

 private:
  wire::ExecConfig client_;
  std::string directory_;
  std::string rdb_file_;
  bool alone_;
};

}  // namespace

service::StepPtr load_rdb(const store::Manifest& manifest, const store::ArtifactRecord& record) {
  // Sets of earlier versions do not say how many append-only files they hold.
  const bool rdb_alone = string_member(record.found, "rdb_file").has_value() &&
                         size_member(record.found, "aof_files") == 0u;
  if (!rdb_alone) return nullptr;
  const bool alone =
      std::none_of(manifest.artifacts.begin(), manifest.artifacts.end(), has_append_only_file);
  return std::make_shared<LoadRdb>(recorded_client(manifest.facts), record, alone);
}

}  // namespace bba::services::redis
