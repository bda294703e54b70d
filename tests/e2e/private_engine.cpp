#include "e2e/private_engine.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <sys/mount.h>
#include <unistd.h>

namespace e2e {

namespace fs = std::filesystem;

namespace {

constexpr const char* host_variable = "BBA_TEST_HOST";

bool answers(const std::string& address) {
  return run({"docker", "-H", address, "version", "--format", "ok"}).exit_code == 0;
}

// The mounts below the directory, the deepest first.
Strings mounts_below(const std::string& directory) {
  Strings mounts;
  const std::string table = read_file("/proc/self/mounts");
  for (const std::string_view line : split(table, '\n')) {
    const auto words = split(line, ' ');
    if (words.size() > 1 && words[1].starts_with(directory + "/")) mounts.emplace_back(words[1]);
  }
  std::reverse(mounts.begin(), mounts.end());
  return mounts;
}

}  // namespace

PrivateEngine::PrivateEngine() : shared_host_(host()) {
  // Short, as sockets have short names; and not in memory, as restores want it.
  std::string form = "/tmp/bba-dockerd-XXXXXX";
  if (::mkdtemp(form.data()) == nullptr) throw std::runtime_error("mkdtemp");
  root_ = form;
  try {
    start();
    take_image_from(shared_host_);
    ::setenv(host_variable, ("unix://" + path("docker.sock")).c_str(), 1);
  } catch (...) {
    end();
    throw;
  }
}

PrivateEngine::~PrivateEngine() {
  end();
}

void PrivateEngine::start() {
  // In a network namespace of its own: without a bridge it would remove the docker0 of another
  // engine. In containerd's namespaces of its own, as it uses the machine's containerd if there is
  // one.
  dockerd_.emplace(Strings{
      "unshare", "--net", "--", "dockerd", "--host=unix://" + path("docker.sock"),
      "--pidfile=" + path("pid"), "--data-root=" + path("data"), "--exec-root=" + path("exec"),
      "--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false",
      "--containerd-namespace=bba-killed", "--containerd-plugins-namespace=bba-killed-plugins"});
  wait_until("an engine", 60s, [&] {
    if (!dockerd_->running()) throw std::runtime_error("dockerd has ended: " + dockerd_->err());
    return answers("unix://" + path("docker.sock"));
  });
}

void PrivateEngine::kill() {
  dockerd_->signal(SIGKILL);
  CHECK(dockerd_->wait().exit_code == -SIGKILL);
  dockerd_.reset();
  // It would not outlive the pipes to dockerd for long, and the next one would wait for it.
  end_containerd();
  // Whoever has this number by then.
  fs::remove(path("pid"));
}

// A dockerd that was killed may leave its containerd behind.
void PrivateEngine::end_containerd() const {
  const std::string file = path("exec/containerd/containerd.pid");
  if (!fs::exists(file)) return;
  const pid_t pid = static_cast<pid_t>(std::stol(read_file(file)));
  const std::string process = "/proc/" + std::to_string(pid);
  const auto is_ours = [&] {
    return fs::exists(process) && has(read_file(process + "/cmdline"), root_ + "/");
  };
  if (pid > 1 && is_ours()) ::kill(pid, SIGKILL);
  wait_until("containerd ends", 30s, [&] { return !is_ours(); });
  fs::remove(file);
}

void PrivateEngine::take_image_from(const std::string& shared) const {
  // A tenth of a second, where the whole image takes ten.
  const std::string archive = path("small.tar");
  const std::string script =
      "set -e; mkdir -p /small/bin /small/data; cp /bin/busybox /small/bin; "
      "for l in $(ldd /bin/busybox | grep -o '/[^ ]*'); do mkdir -p /small/${l%/*}; cp $l "
      "/small/$l; done; for t in $(busybox --list); do [ $t = busybox ] || ln -s busybox "
      "/small/bin/$t; done; tar -cC /small .";
  const Ended made = run({"sh", "-c",
                          "docker -H \"$0\" run --rm --network none --label bba.fixture=1 "
                          "bba-fixture/files:1 sh -c \"$1\" >\"$2\" && docker -H \"$3\" import "
                          "--change 'LABEL bba.fixture=1' \"$2\" "
                          "\"$4\"",
                          shared, script, archive, "unix://" + path("docker.sock"), image});
  if (made.exit_code != 0) throw std::runtime_error("the small image: " + made.err);
}

void PrivateEngine::end() noexcept {
  try {
    ::setenv(host_variable, shared_host_.c_str(), 1);
    const std::string address = "unix://" + path("docker.sock");
    if (dockerd_ && answers(address)) {
      const Ended ids = run({"docker", "-H", address, "ps", "--all", "--quiet"});
      for (const std::string_view id : split(ids.out, '\n')) {
        if (!id.empty()) run({"docker", "-H", address, "rm", "--force", std::string(id)});
      }
    }
    if (dockerd_) {
      dockerd_->signal(SIGTERM);
      dockerd_->wait();
      dockerd_.reset();
    }
    end_containerd();
    for (const std::string& mount : mounts_below(root_)) ::umount2(mount.c_str(), MNT_DETACH);
    fs::remove_all(root_);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ending the private engine in %s: %s\n", root_.c_str(), error.what());
  }
}

}  // namespace e2e
