// Sends two events of one user: java -cp 'lib/*' Send.java [USER]
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Properties;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

public class Send {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final AtomicInteger LOST = new AtomicInteger();

    public static void main(String[] args) throws Exception {
        String user = args.length > 0 ? args[0] : "u42";
        Map<String, String> env = System.getenv();
        // A prefix only if the services have one.
        String topic = env.getOrDefault("THALWEG__KAFKA__TOPIC_PREFIX", "") + "events";

        Properties settings = new Properties();
        settings.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, env.getOrDefault("KAFKA_BROKERS", "127.0.0.1:9092"));
        settings.put(ProducerConfig.KEY_SERIALIZER_CLASS_CONFIG, StringSerializer.class);
        settings.put(ProducerConfig.VALUE_SERIALIZER_CLASS_CONFIG, StringSerializer.class);
        // The defaults are right: keys are placed by murmur2, acks is all, and idempotence is on.

        try (KafkaProducer<String, String> producer = new KafkaProducer<>(settings)) {
            send(producer, topic, user, "i9", "view", Map.of("session_id", "s7"));
            send(producer, topic, user, "i7", "purchase", Map.of("value", 19.9));
            producer.flush(); // waits for the answers, at most delivery.timeout.ms (2 minutes)
        }
        if (LOST.get() > 0) {
            System.err.println(LOST.get() + " events not delivered");
            System.exit(1);
        }
        System.out.println("2 events of " + user + " delivered");
    }

    private static void send(
            KafkaProducer<String, String> producer,
            String topic,
            String user,
            String item,
            String type,
            Map<String, Object> more)
            throws Exception {
        Map<String, Object> event = new LinkedHashMap<>();
        event.put("event_id", UUID.randomUUID().toString());
        event.put("type", type);
        event.put("user_id", user);
        event.put("item_id", item);
        event.put("ts", System.currentTimeMillis());
        event.putAll(more);
        // Keyed by the user: one user's events stay in one partition, in order.
        var record = new ProducerRecord<>(topic, user, JSON.writeValueAsString(event));
        producer.send(record, (metadata, error) -> {
            if (error != null) {
                // Kafka does not have this event. Store it and send it again, with the same event_id.
                LOST.incrementAndGet();
                System.err.println("not delivered: " + error.getMessage());
            }
        });
    }
}
