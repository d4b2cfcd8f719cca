"""The parts of the lab: where things are (`layout`), what is installed (`packages`), what the services are told (`services`), their
databases (`database`), the process that keeps them (`supervisor`), what a lab holds (`contents`), and the commands (`control`).
"""
