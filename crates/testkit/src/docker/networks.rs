//! Requests about networks.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::{
    answers::{Answer, Outcome, empty, json, refused},
    routes::Recorded,
    world::{FakeNetwork, World, meets, named, words},
};

impl World {
    /// Before API 1.44 two networks may have one name, unless the request forbids it.
    pub(super) fn create_network(&mut self, asked: &Recorded) -> Outcome {
        let name = asked.body["Name"].as_str().unwrap_or_default().to_owned();
        let version = asked.version.as_ref().unwrap_or(&self.api_version);
        let unique = asked.body["CheckDuplicate"] == true || super::system::number(version) >= 144;
        if unique && self.networks.values().any(|it| it.name == name) {
            return refused(409, format!("network with name {name} already exists"));
        }
        let mine = subnets(&asked.body);
        let overlap = self
            .networks
            .values()
            .flat_map(|it| subnets(&it.body))
            .any(|theirs| mine.iter().any(|mine| mine.0 <= theirs.1 && theirs.0 <= mine.1));
        if overlap {
            return refused(403, "Pool overlaps with other one on this address space");
        }
        let id = self.id();
        let labels = words(&asked.body["Labels"]);
        self.networks
            .insert(id.clone(), FakeNetwork { id: id.clone(), name, body: asked.body.clone() });
        self.tell("network", "create", &id, &labels);
        Ok(json(201, &json!({ "Id": id, "Warning": "" })))
    }

    pub(super) fn list_networks(&self, asked: &Recorded) -> Answer {
        let (labels, names) = (asked.filter("label"), asked.filter("name"));
        let found = self
            .networks
            .values()
            .filter(|it| meets(&words(&it.body["Labels"]), &labels) && named(&it.name, &names));
        json(200, &found.map(|it| self.shown(it)).collect())
    }

    pub(super) fn inspect_network(&self, asked: &Recorded) -> Outcome {
        Ok(json(200, &self.shown(self.network(&asked.id)?)))
    }

    pub(super) fn remove_network(&mut self, asked: &Recorded) -> Outcome {
        let found = self.network(&asked.id)?.clone();
        let used =
            |it: &super::FakeContainer| it.status.lives() && it.networks.contains(&found.name);
        if self.containers.values().any(used) {
            let message = format!(
                "error while removing network: network {} id {} has active endpoints",
                found.name, found.id
            );
            return refused(403, message);
        }
        self.networks.remove(&found.id);
        self.tell("network", "destroy", &found.id, &words(&found.body["Labels"]));
        Ok(empty(204))
    }

    pub(super) fn join_network(&mut self, asked: &Recorded, join: bool) -> Outcome {
        let name = self.network(&asked.id)?.name.clone();
        let it = self.container(asked.body["Container"].as_str().unwrap_or_default())?;
        let changed =
            if join { it.networks.insert(name.clone()) } else { it.networks.remove(&name) };
        if !changed {
            let id = &it.id;
            let (status, message) = if join {
                (403, format!("endpoint with name {} already exists in network {name}", it.name))
            } else {
                (404, format!("container {id} is not connected to network {name}"))
            };
            return refused(status, message);
        }
        self.changed();
        Ok(empty(200))
    }

    fn shown(&self, it: &FakeNetwork) -> Value {
        let inside =
            self.containers.values().filter(|c| c.status.lives() && c.networks.contains(&it.name));
        let inside = inside.map(|c| (c.id.clone(), json!({ "Name": c.name })));
        let inside: serde_json::Map<String, Value> = inside.collect();
        json!({
            "Id": it.id, "Name": it.name, "Driver": it.body["Driver"].as_str().unwrap_or("bridge"),
            "Scope": "local", "Internal": it.body["Internal"] == true, "Labels": words(&it.body["Labels"]),
            "IPAM": it.body["IPAM"], "Containers": inside, "Options": words(&it.body["Options"]),
        })
    }
}

/// First and last address of each range that a network asks for.
fn subnets(body: &Value) -> Vec<(u32, u32)> {
    let configs = body["IPAM"]["Config"].as_array().into_iter().flatten();
    configs.filter_map(|config| range(config["Subnet"].as_str()?)).collect()
}

fn range(subnet: &str) -> Option<(u32, u32)> {
    let (address, bits) = subnet.split_once('/')?;
    let address = u32::from(address.parse::<Ipv4Addr>().ok()?);
    let mask = u32::MAX
        .checked_shl(32 - bits.parse::<u32>().ok().filter(|bits| *bits <= 32)?)
        .unwrap_or(0);
    Some((address & mask, address | !mask))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_a_first_and_a_last_address() {
        let of = |a: [u8; 4], b: [u8; 4]| Some((u32::from_be_bytes(a), u32::from_be_bytes(b)));
        assert_eq!(range("10.1.2.16/28"), of([10, 1, 2, 16], [10, 1, 2, 31]));
        assert_eq!(range("0.0.0.0/0"), of([0; 4], [255; 4]));
        assert_eq!(range("10.1.2.3/33"), None);
    }
}
