#include "install_snapshot.hpp"

#include <chrono>
#include <thread>

#include "bba/base/text.hpp"
#include "bba/docker/secrets.hpp"
#include "server.hpp"

namespace bba::services::vault {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// How long a server may take to answer again: right after a restore it answers 500 for a moment.
constexpr auto server_patience = 60s;

constexpr const char* snapshot_path = "sys/storage/raft/snapshot";

// Hands the bytes of the artifact on to the client.
class FeedStage : public pipe::Stage {
 public:
  explicit FeedStage(service::OpenFeed& feed) : feed_(feed) {}
  void write(const Chunk& chunk) override { feed_.write(chunk.bytes()); }
  void finish() override {}

 private:
  service::OpenFeed& feed_;
};

class InstallSnapshot : public service::InPlace {
 public:
  InstallSnapshot(service::RestoreTarget& target, const service::Capture& present,
                  const wire::ExecConfig& client, bool new_cluster)
      : target_(target),
        client_(client),
        cluster_(string_member(target.manifest().facts, "cluster_id").value_or("")),
        present_cluster_(string_member(present.facts, "cluster_id").value_or("")) {
    require_cluster(new_cluster);
    require_token();
  }

  std::vector<std::string> steps() const override {
    std::vector<std::string> lines{fmt::format(
        "gives the snapshot back with `{} operator raft snapshot restore{}`: one request, which the "
        "server takes as a whole or not at all",
        client_.argv.front(), force_ ? " -force" : "")};
    if (force_) {
      lines.push_back(fmt::format(
          "ANOTHER CLUSTER: the snapshot is of {}, the server is {}. Afterwards the unseal keys and "
          "tokens of the snapshot count, and those of today no more; the server may be sealed",
          cluster_.empty() ? "a cluster that it does not name" : cluster_, present_cluster_));
    } else {
      lines.emplace_back(
          "tokens, leases and secrets are those of the snapshot: what was made since is gone");
    }
    if (!token_note_.empty()) lines.push_back(token_note_);
    return lines;
  }
  bool is_whole() const override { return true; }

  void carry_out(const std::function<void()>& changing,
                 std::vector<std::string>& needs_hand) override {
    changing();
    install();
    wait_until_it_serves(needs_hand);
  }

 private:
  wire::ExecConfig command(std::vector<std::string> arguments) const {
    wire::ExecConfig program = client_;
    program.argv = {client_.argv.front()};
    program.argv.insert(program.argv.end(), arguments.begin(), arguments.end());
    return program;
  }

  // Without -force the server itself refuses a snapshot whose keys are not its own.
  void require_cluster(bool new_cluster) {
    const bool other = !cluster_.empty() && cluster_ != present_cluster_;
    if (other && !new_cluster) {
      throw Error(
          ErrorKind::container,
          fmt::format("the server is another cluster ({}) than the one that was backed up "
                      "({})",
                      present_cluster_, cluster_),
          "with --new-cluster it is restored anyway: then the unseal keys and tokens of the "
          "snapshot count");
    }
    force_ = new_cluster && cluster_ != present_cluster_;
  }

  // A token may be good and not be allowed to ask; then the safety set shows whether it is good.
  void require_token() {
    const docker::ExecResult answer =
        target_.run(command({"token", "capabilities", snapshot_path}));
    if (answer.exit_code != 0) {
      token_note_ = fmt::format(
          "whether the token may do that is not known ({}); it is taken for the safety set first",
          docker::failure_output(answer, client_.env));
      return;
    }
    const std::string_view may = trimmed(answer.out);
    for (const std::string_view one : split(may, ',')) {
      const std::string_view word = trimmed(one);
      if (word == "root" || word == "update") return;
    }
    throw Error(ErrorKind::container,
                fmt::format("the token may not restore: {} on {}", printable(may), snapshot_path),
                fmt::format("it needs a policy with update on {}", snapshot_path));
  }

  void install() {
    std::vector<std::string> arguments{"operator", "raft", "snapshot", "restore"};
    if (force_) arguments.emplace_back("-force");
    arguments.emplace_back("/dev/stdin");
    const auto feed = target_.open_feed(command(arguments));
    FeedStage stage(*feed);
    target_.pass_artifact(stage);
    const service::FeedResult result = feed->finish();
    if (result.exit_code == 0 && result.took_everything) return;
    const std::string words = fmt::format(
        "the server did not take the snapshot: {}",
        docker::failure_output({result.exit_code, result.out, result.err}, client_.env));
    const bool refused = words.find("Code: 4") != std::string::npos;
    if (refused || docker::not_started({result.exit_code, result.out, result.err})) {
      throw service::Untouched(ErrorKind::capture, words);
    }
    throw Error(ErrorKind::capture, words);
  }

  void wait_until_it_serves(std::vector<std::string>& needs_hand) {
    const auto patience = Clock::now() + server_patience;
    const auto enough_sealed = Clock::now() + 5s;
    std::string last;
    for (;;) {
      const docker::ExecResult answer = target_.run(command({"status", "-format=json"}));
      const auto status = parse_status(answer.out);
      if (status && !status->sealed) {
        require_cluster_of_snapshot(*status);
        report(needs_hand);
        return;
      }
      if (status && force_ && Clock::now() > enough_sealed) {
        needs_hand.emplace_back(
            "the server is sealed: unseal it with the unseal keys of the snapshot");
        target_.report.lines.emplace_back("the server took the snapshot, and is sealed");
        return;
      }
      last = status ? "it is sealed" : docker::failure_output(answer, client_.env);
      if (Clock::now() > patience) {
        throw Error(ErrorKind::capture, "the server took the snapshot, and does not serve: " + last,
                    "unseal it with the keys of the snapshot");
      }
      std::this_thread::sleep_for(200ms);
    }
  }

  void require_cluster_of_snapshot(const Status& status) const {
    const std::string& wanted = force_ ? cluster_ : present_cluster_;
    if (wanted.empty() || status.cluster_id.empty() || status.cluster_id == wanted) return;
    throw Error(ErrorKind::capture,
                fmt::format("after the restore the server says that it is cluster {}, not {}",
                            status.cluster_id, wanted));
  }

  void report(std::vector<std::string>&) {
    const auto number = [&](const char* key) {
      return size_member(target_.record().found, key).value_or(0);
    };
    target_.report.compared["index"] = number("index");
    target_.report.lines.push_back(fmt::format(
        "the server took the snapshot (index {}, term {}), is unsealed, and is cluster {}",
        number("index"), number("term"), force_ ? cluster_ : present_cluster_));
    target_.report.not_proven.emplace_back(
        "the secrets in it: the server checked the snapshot's sums, and none was read");
  }

  service::RestoreTarget& target_;
  const wire::ExecConfig& client_;
  std::string cluster_;          // of the snapshot; empty where its manifest does not say
  std::string present_cluster_;  // of the server
  std::string token_note_;
  bool force_ = false;
};

}  // namespace

std::unique_ptr<service::InPlace> install_snapshot(service::RestoreTarget& target,
                                                   const service::Capture& present,
                                                   const service::InPlaceOptions& options) {
  const auto* dump = std::get_if<service::ExecDump>(&present.parts.front().what);
  if (dump == nullptr) throw Error(ErrorKind::internal, "a capture of a snapshot without a client");
  return std::make_unique<InstallSnapshot>(target, present, dump->exec, options.new_cluster);
}

}  // namespace bba::services::vault
