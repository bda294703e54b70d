#include "e2e/vault.hpp"

namespace e2e {

VaultServer::VaultServer(E2eFixture& fixture, const std::string& what, const std::string& image,
                         const std::string& storage, const Strings& options)
    : container_(fixture.name(what)), program_(image.starts_with("openbao") ? "bao" : "vault") {
  fixture.adopt(container_);
  Strings argv{std::string(BBA_SOURCE_DIR) + "/fixtures/start-vault", container_};
  argv.insert(argv.end(), options.begin(), options.end());
  Setting setting;
  setting.environment = {{"BBA_VAULT_IMAGE", image}, {"BBA_VAULT_STORAGE", storage}};
  const Ended ended = run(argv, setting);
  if (ended.exit_code != 0) throw std::runtime_error("starting a Vault: " + ended.err);
  for (const std::string_view line : split(ended.out, '\n')) {
    const std::string_view value = line.substr(std::min(line.find('=') + 1, line.size()));
    if (line.starts_with("VAULT_TOKEN=")) token_ = value;
    if (line.starts_with("VAULT_UNSEAL_KEY=")) unseal_key_ = value;
  }
  if (token_.empty() || unseal_key_.empty()) throw std::runtime_error("no token: " + ended.out);
}

Ended VaultServer::ask(const Strings& arguments) const {
  Strings argv{"docker", "-H", host(), "exec", "-e", "VAULT_TOKEN=" + token_, container_, program_};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return run(argv);
}

bool VaultServer::sealed() const {
  return ask({"status"}).exit_code == 2;
}

void VaultServer::unseal(const std::string& key) const {
  const Ended ended = ask({"operator", "unseal", key});
  if (ended.exit_code != 0) throw std::runtime_error("unsealing: " + ended.err);
}

std::string VaultServer::content() const {
  const Ended saved = ask({"operator", "raft", "snapshot", "save", "/dev/stdout"});
  if (saved.exit_code != 0) throw std::runtime_error("a snapshot: " + saved.err);
  Setting setting;
  setting.input = saved.out;
  const Ended sums = run({"tar", "-xzO", "SHA256SUMS"}, setting);
  if (sums.exit_code != 0) throw std::runtime_error("SHA256SUMS: " + sums.err);
  for (const std::string_view line : split(sums.out, '\n')) {
    // The other file, meta.json, holds the raft index, which goes on.
    if (line.ends_with("  state.bin")) return std::string(line);
  }
  throw std::runtime_error("no sum of state.bin: " + sums.out);
}

const VaultServer& shared_vault() {
  static E2eFixture fixture;
  static const VaultServer server(fixture, "vault");
  return server;
}

}  // namespace e2e
