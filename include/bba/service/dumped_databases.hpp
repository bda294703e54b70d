// The databases of a dump, as they are counted while it passes: the rows of each, table by table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "bba/base/json.hpp"

namespace bba::service {

struct DumpedDatabase {
  std::string name = {};
  std::uint64_t rows = 0;                            // of all tables
  std::map<std::string, std::uint64_t> tables = {};  // rows, by name; empty ones too
  std::uint64_t tables_left_out = 0;                 // whose rows are in `rows` alone
};

// In the words of the manifest, with `own` behind the name: what else a dump of its kind holds.
Json database_found(const DumpedDatabase& database, const Json& own);

// `Database` is a DumpedDatabase with more to it.
template <class Database>
class DumpedDatabases {
 public:
  // In the order of their first enter(). At most 10,000 are kept, and 10,000 tables of all of them.
  const std::vector<Database>& all() const noexcept { return all_; }

  // What follows in the dump is of the database called so; of none where the name is empty.
  void enter(std::string name) {
    current_ = nullptr;
    if (name.empty()) return;
    auto known = index_.find(name);
    if (known == index_.end()) {
      if (all_.size() >= most_databases) return;
      known = index_.emplace(name, all_.size()).first;
      all_.emplace_back().name = std::move(name);
    }
    current_ = &all_[known->second];
  }

  // The one that was entered, where it is kept; else nullptr. Good until the next enter().
  Database* current() noexcept { return current_; }

  // Adds rows to a table of the current database, and the table where it is new. False where it is
  // not kept, as there are too many, or as its name is empty or longer than a name can be.
  bool add_rows(const std::string& table, std::uint64_t rows, std::size_t longest_name) {
    if (current_ == nullptr) return false;
    current_->rows += rows;
    const auto known = current_->tables.find(table);
    if (known != current_->tables.end()) {
      known->second += rows;
      return true;
    }
    if (tables_ >= most_tables || table.empty() || table.size() > longest_name) return false;
    current_->tables.emplace(table, rows);
    ++tables_;
    return true;
  }

 private:
  static constexpr std::size_t most_databases = 10'000;
  static constexpr std::size_t most_tables = 10'000;

  std::vector<Database> all_;
  std::map<std::string, std::size_t> index_;  // of each name in all_
  Database* current_ = nullptr;
  std::size_t tables_ = 0;  // kept, of all databases
};

}  // namespace bba::service
