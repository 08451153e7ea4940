//! A file of items becomes a catalog, and one of stock wipes nothing of it.

use std::io::Write;

use schemas::item::{Fold, read};
use schemas::{Item, Topic};
use tests::{Tail, World};

/// The catalog as trainer and scorer put it together: the last state of an item that its records say anything of.
async fn catalog(world: &World) -> Vec<Item> {
    let (mut fold, mut items) = (Fold::default(), std::collections::BTreeMap::new());
    for record in Tail::open(world, Topic::Items).await.read().await {
        let reading = read(&record.key, record.value.as_deref());
        assert!(reading.faults.is_empty(), "what the command writes is clear: {:?}", reading.faults);
        if let (Some((id, item)), fault) = fold.take(reading) {
            assert!(fault.is_none(), "{fault:?}");
            items.insert(id, item);
        }
    }
    items.into_values().flatten().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_stock_alone_is_refused_without_update_and_with_it_leaves_titles_as_they_are() {
    let world = World::new().await;
    let file = |text: &str| {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file opens");
        file.write_all(text.as_bytes()).expect("there is room");
        file
    };
    let import = async |text: &str, options: &[&str]| {
        let file = file(text);
        let path = file.path().to_str().expect("a path of ours is UTF-8").to_owned();
        world.try_operate(&[&["items", "import", &*path][..], options].concat()).await
    };
    let whole = "id,title,product_type,price\n7.0,Hat,Apparel > Hats,79.00 EUR\n8,\"Boot, red\",Apparel,\nNULL,x,,\n";
    let said = import(whole, &[]).await.expect("it is imported");
    assert!(said.contains("2 items of 3 rows"), "{said}");
    let stock = "id;availability\n7;out of stock\n";
    let refused = import(stock, &[]).await.expect_err("it is refused");
    assert!(refused.contains("--update") && refused.contains("--replace"), "{refused}");
    let before = catalog(&world).await;
    assert_eq!(before.iter().map(|item| &*item.item_id).collect::<Vec<_>>(), ["7", "8"]);
    assert!(before.iter().all(|item| item.available));

    import(stock, &["--update"]).await.expect("it is imported");
    import("7|75.50", &["--update", "--no-header", "--columns", "item_id=1,price=2"]).await.expect("it is imported");
    let after = catalog(&world).await;
    let hat = Item { available: false, price: Some(75.5), ..before[0].clone() };
    assert_eq!(after, [hat, before[1].clone()], "title and categories stay, and each file says what it says");
}
