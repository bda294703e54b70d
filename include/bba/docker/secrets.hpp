// What a program prints about its failure is shown to the operator, and may repeat the secrets that
// it was given.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bba/docker/engine.hpp"
#include "bba/wire/message.hpp"

namespace bba::docker {

// `words` with each secret of `env` replaced by the name of its variable. An address is not a
// secret, but the password in one is.
std::string without_secrets(std::string words, const std::vector<wire::EnvVar>& env);

// The end of it, where programs say why: at most 400 bytes, without blanks around it.
std::string last_output(std::string_view text);

// What a program said of its failure, without the secrets, at most 300 bytes: of stderr, or of
// stdout where that is empty, as the engine writes there why a program could not start.
std::string failure_output(const ExecResult& result, const std::vector<wire::EnvVar>& env);
// Exit codes 126 and 127: it could not be started.
bool not_started(const ExecResult& result);

}  // namespace bba::docker
