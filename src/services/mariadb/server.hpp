// Asks a MariaDB or MySQL server what it is, what it holds, and whether a dump would hold all of
// it. Sources: the documents of mariadb-dump, mysqldump and information_schema; the official
// images.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bba/service/capture.hpp"

namespace bba::services::mariadb {

// A client, and what belongs to it: MariaDB's programs have names of their own, except in old
// images.
struct Programs {
  std::string client;  // "mariadb", "mysql", "/opt/bitnami/mariadb/bin/mariadb"
  std::string dump() const;
  std::string admin() const;
};
// The programs that an image may have, best first.
std::vector<Programs> known_programs();

// How the server is reached: over its own socket, without any option file. One of those may well
// say `ignore-table` or `where` to every dump, and nothing would show that rows are missing.
struct Connection {
  Programs programs;
  std::string socket;
  std::string user = "root";
  std::vector<wire::EnvVar> env = {};  // MYSQL_PWD
};

// The names of the container's variables that may hold root's password, best first; each may have a
// _FILE twin.
std::vector<std::string> password_variables();

// Where the server's socket is, and its port: asked by a client that reads the option files.
wire::ExecConfig find_socket(const Programs& programs, const std::string& user,
                             const std::vector<wire::EnvVar>& env);
struct Place {
  std::string socket;
  std::uint64_t port = 0;
  bool networking = true;  // false: on the socket alone
};
std::optional<Place> parse_place(std::string_view out);

// The client, for a script on its stdin: with comments, which are part of the bodies of routines.
wire::ExecConfig client(const Connection& connection);
// The client with these statements: one line a row, tabs between the columns, \t, \n, \\ and \0 in
// them escaped.
wire::ExecConfig query(const Connection& connection, const std::string& sql);
// Its answer, unescaped.
std::vector<std::vector<std::string>> parse_rows(std::string_view out);
// As a string of SQL, where sql_mode is ''.
std::string sql_literal(std::string_view text);

// What the server says of itself, in rows that begin with what they are about.
wire::ExecConfig probe(const Connection& connection);

struct Facts {
  struct Database {
    std::string name;
    std::uint64_t bytes = 0;
  };
  struct Table {
    std::string name;  // with its database: "shop.sessions"
    std::string engine = {};
  };

  std::string version;  // "10.11.18-MariaDB-0+deb12u1"
  std::string account;  // whom the server took the client for: "root@localhost"
  std::vector<std::string> rights;
  std::vector<Database> databases;  // without those that every server has for itself alone
  std::vector<Table> without_transactions;
  std::vector<Table> versioned;          // with a history of their rows
  std::vector<std::string> show_grants;  // a statement for each account

  bool is_mariadb() const { return version.find("MariaDB") != version.npos; }
};
std::optional<Facts> parse_probe(std::string_view out);

// The rights on everything that a dump needs and the account lacks. Without one of them the program
// leaves out what it may not see, and ends with exit code 0.
std::vector<std::string> missing_rights(const Facts& facts);

// The accounts with what they may do, as SHOW GRANTS says it, one line each: without the digests of
// passwords, which are secrets.
wire::ExecConfig ask_grants(const Connection& connection, const Facts& facts);
std::vector<std::string> parse_grants(std::string_view out);
// The same line, whatever order the server names columns and rights in.
std::string in_one_order(const std::string& grant);

service::Capture dump_capture(const service::Target& target, const Connection& connection,
                              const Place& place, const Facts& facts,
                              const std::vector<std::string>& grants);

}  // namespace bba::services::mariadb
