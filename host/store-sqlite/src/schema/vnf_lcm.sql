-- A document is three texts: what lists show, what they leave out, and what is vimhost's own. Of the last, what a query or a
-- write asks for is in columns and not in the text. The long texts stand last, so that a list does not read over them.
CREATE TABLE vnf_instance(
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    vnfd TEXT NOT NULL,
    state TEXT NOT NULL,
    target TEXT,
    package TEXT NOT NULL,
    operation TEXT,
    head TEXT NOT NULL,
    rest TEXT NOT NULL,
    own TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX vnf_instance_id ON vnf_instance(id);
CREATE INDEX vnf_instance_vnfd ON vnf_instance(vnfd, id);
CREATE INDEX vnf_instance_state ON vnf_instance(state, id);
CREATE INDEX vnf_instance_both ON vnf_instance(vnfd, state, id);
CREATE INDEX vnf_instance_target ON vnf_instance(target, id) WHERE target IS NOT NULL;
CREATE INDEX vnf_instance_package ON vnf_instance(package);

CREATE TABLE vnf_op_occ(
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    instance TEXT NOT NULL,
    state TEXT NOT NULL,
    target TEXT,
    running INTEGER NOT NULL,
    head TEXT NOT NULL,
    rest TEXT NOT NULL,
    own TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX vnf_op_occ_id ON vnf_op_occ(id);
CREATE INDEX vnf_op_occ_instance ON vnf_op_occ(instance, id);
CREATE INDEX vnf_op_occ_state ON vnf_op_occ(state, id);
CREATE INDEX vnf_op_occ_both ON vnf_op_occ(instance, state, id);
CREATE INDEX vnf_op_occ_running ON vnf_op_occ(target, id) WHERE running = 1;

-- What is to be told to subscribers and was not decided on yet; written with the change it tells of.
CREATE TABLE lcm_event(number INTEGER PRIMARY KEY AUTOINCREMENT, doc TEXT NOT NULL) STRICT;
