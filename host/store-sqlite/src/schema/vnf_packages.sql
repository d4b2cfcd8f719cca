
-- `vnfd` only while the package is onboarded: a VNFD has one package.
CREATE TABLE vnf_package(id TEXT PRIMARY KEY, revision INTEGER NOT NULL, vnfd TEXT, doc TEXT NOT NULL) STRICT;
CREATE UNIQUE INDEX vnf_package_vnfd ON vnf_package(vnfd) WHERE vnfd IS NOT NULL;

-- Archives in parts of at most a mebibyte, so that no single write holds the others up for long.
CREATE TABLE vnf_archive(package TEXT NOT NULL, part INTEGER NOT NULL, content BLOB NOT NULL) STRICT;
CREATE UNIQUE INDEX vnf_archive_part ON vnf_archive(package, part);
