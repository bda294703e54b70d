// What a program says of its failure goes to the operator's screen, and may repeat what it was
// lent.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bba/wire/message.hpp"

namespace bba::ops {

// `words` with each secret of `env` replaced by the name of its variable. An address is none, but
// the password in one is.
std::string without_secrets(std::string words, const std::vector<wire::EnvVar>& env);

// The end of it, where programs say why: at most 400 bytes, without blanks around it.
std::string last_words(std::string_view text);

}  // namespace bba::ops
