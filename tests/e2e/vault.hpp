// Vault and OpenBao servers for the tests.
#pragma once

#include <map>
#include <string>

#include "e2e/support.hpp"

namespace e2e {

class VaultServer {
 public:
  // Initialised and unsealed.
  VaultServer(E2eFixture& fixture, const std::string& what, const std::string& image = "vault:1",
              const std::string& storage = "raft", const Strings& options = {});

  const std::string& container() const { return container_; }
  const std::string& token() const { return token_; }
  const std::string& unseal_key() const { return unseal_key_; }
  std::map<std::string, std::string> with_token() const { return {{"VAULT_TOKEN", token_}}; }

  // Its own program, with its root token.
  Ended ask(const Strings& arguments) const;
  bool sealed() const;
  void unseal(const std::string& key) const;
  // The checksums of a snapshot's content.
  std::string content() const;

 private:
  std::string container_, program_, token_, unseal_key_;
};

// One server for all tests of a program that do not change it.
const VaultServer& shared_vault();

}  // namespace e2e
