// The format check of a dump of databases.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "bba/base/text.hpp"
#include "bba/service/dump_comparison.hpp"
#include "bba/service/service.hpp"

namespace bba::service {

// `Check` is a stage whose databases() are each a DumpedDatabase, and `found_of` says what it found
// in the words of the manifest.
template <class Check, Json (*found_of)(const Check&)>
class DumpContent : public ContentCheck {
 public:
  pipe::Stage& stage() override { return check_; }
  Json found() const override { return found_of(check_); }
  std::string summary() const override {
    const std::size_t count = check_.databases().size();
    std::uint64_t rows = 0;
    for (const auto& one : check_.databases()) rows += one.rows;
    return fmt::format("{} database{}, {} rows", count, count == 1 ? "" : "s", rows);
  }
  std::string difference(const std::string&, const Json& said, const Json& counted) const override {
    return database_difference(said, counted);
  }

 private:
  Check check_;
};

}  // namespace bba::service
